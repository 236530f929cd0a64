// Which recorded exits somebody wants to see: by reason, by port, by MSR. Without any, all; with several, those that pass each.
import type { TracedExit } from "../api/trace.js";
import { HvkitError } from "../errors.js";
import { exitReasonNames } from "../hypervisor/texts.js";

export interface TraceFilter {
  reasons?: readonly string[];
  ports?: readonly number[];
  msrs?: readonly number[];
}

/** Short forms that stand for several. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  io: ["io-in", "io-out", "io-string"],
  msr: ["rdmsr", "wrmsr"],
};

/** "io,cpuid" */
export function parseReasons(text: string): string[] {
  const known: readonly string[] = Object.values(exitReasonNames);
  return text.split(",").flatMap((name) => {
    if (known.includes(name)) return [name];
    const family = FAMILIES[name];
    if (family) return family;
    throw new HvkitError("E_USAGE", `--reason: there is no exit '${name}'`, {
      hint: `There are ${Object.keys(FAMILIES).join(", ")}, ${known.join(", ")}.`,
    });
  });
}

/** "3f8,60": hexadecimal, with or without 0x or h. */
export function parseHexList(text: string, option: string, limit: number): number[] {
  return text.split(",").map((number) => {
    const [, digits] = /^(?:0x)?([0-9a-f]{1,8})h?$/i.exec(number) ?? [];
    const value = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
    if (value <= limit) return value;
    throw new HvkitError("E_USAGE", `${option}: '${number}' is no hexadecimal number up to ${limit.toString(16)}`, {
      hint: `For example ${option} ${option === "--port" ? "3f8" : "c0000080"}.`,
    });
  });
}

export function passes(exit: TracedExit, { reasons, ports, msrs }: TraceFilter): boolean {
  if (reasons && !reasons.includes(exit.reason)) return false;
  if (ports && (exit.port === undefined || !ports.includes(exit.port))) return false;
  return !msrs || (exit.msr !== undefined && msrs.includes(Number(exit.msr)));
}

export const isEmpty = ({ reasons, ports, msrs }: TraceFilter): boolean => !reasons && !ports && !msrs;
