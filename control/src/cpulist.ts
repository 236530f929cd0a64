// CPUs as people write them, 0,2-3, and as the hypervisor takes them, a bit each.
import { HostLimit } from "../../protocol/messages.js";
import { HvkitError } from "./errors.js";

/** "0,2-3" as [0, 2, 3]. */
export function parseCpuList(text: string, what: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.split(",")) {
    const match = /^\s*(\d{1,3})(?:-(\d{1,3}))?\s*$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? first);
    if (!match || last < first || last >= HostLimit.Cpus) {
      throw new HvkitError("E_USAGE", `${what} '${text}' is no list of CPUs`, {
        hint: `Write numbers from 0 to ${HostLimit.Cpus - 1} and ranges, for example 0,2-3; \`hvkit status\` lists the CPUs.`,
      });
    }
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

export function showCpuList(cpus: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const cpu of cpus) {
    const last = runs.at(-1);
    if (last?.[1] === cpu - 1) last[1] = cpu;
    else runs.push([cpu, cpu]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

export const cpuMask = (cpus: readonly number[]): number => cpus.reduce((mask, cpu) => mask | (1 << cpu), 0);

export const cpusOf = (mask: bigint): number[] => [...Array(64).keys()].filter((cpu) => (mask >> BigInt(cpu)) & 1n);
