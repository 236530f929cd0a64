// Which hypervisor somebody wants, in the words of the command line or of a program: checked, and held against the one that is up.
import { HostLimit } from "../../../protocol/messages.js";
import type { Status } from "../api/schemas.js";
import { parseSize, showSize } from "../api/size.js";
import type { BootRequest } from "../daemon/boot.js";
import { HvkitError } from "../errors.js";
import type { ListenAddress } from "../transport/address.js";
import { bracketed } from "../transport/guard.js";

export const ENGINES = ["auto", "qemu", "bochs"] as const;
export const ACCELERATORS = ["auto", "kvm", "tcg"] as const;
export const DEFAULT_MEMORY = "1G";
/** less does not hold the hypervisor and one Linux guest; more than QEMU's and Bochs' 32-bit hole leaves is not used */
const MIN_MEMORY = 64 * 2 ** 20;

/** What is left out may be as it is. */
export interface BootWish extends Omit<BootRequest, "memoryBytes"> {
  memoryBytes?: number;
}

interface Given {
  engine?: string | undefined;
  accel?: string | undefined;
  memory?: string | undefined;
  cpus?: string | number | undefined;
}

/** Throws E_USAGE, E_SIZE, E_MEMORY_SIZE. */
export function bootWish({ engine = "auto", accel = "auto", memory, cpus }: Given): BootWish {
  return {
    engine: oneOf(ENGINES, engine, "engine"),
    accel: oneOf(ACCELERATORS, accel, "accel"),
    ...(memory === undefined ? {} : { memoryBytes: memoryBytes(memory) }),
    ...(cpus === undefined ? {} : { cpus: cpuCount(String(cpus)) }),
  };
}

export function bootRequest({ memoryBytes: bytes = parseSize(DEFAULT_MEMORY), ...wish }: BootWish): BootRequest {
  return { ...wish, memoryBytes: bytes };
}

/** In which ways the hypervisor that is up is another one than is wanted; none: it serves. */
export function differences(
  { engine, accel, cpus, memoryBytes: memory, attach }: BootWish,
  listen: ListenAddress | undefined,
  up: Status,
): string[] {
  const has = up.engine;
  const differs: [boolean, string][] = [
    [engine !== "auto" && engine !== has?.name, `it runs on ${has?.name ?? "no engine"}, not on ${engine}`],
    [accel !== "auto" && accel !== has?.accel, `its engine runs by ${has?.accel ?? "-"}, not by ${accel}`],
    [cpus !== undefined && cpus !== up.hypervisor?.cpus, `it has ${up.hypervisor?.cpus ?? 0} CPUs, not ${cpus}`],
    [
      memory !== undefined && memory !== has?.memoryBytes,
      `its machine has ${showSize(has?.memoryBytes ?? 0)} of memory, not ${showSize(memory ?? 0)}`,
    ],
    [listen !== undefined && !listens(listen, up), `it does not listen on ${listen ? `${bracketed(listen.host)}:${listen.port}` : ""}`],
    [attach !== undefined && attach.to !== has?.command[0], `it is not attached to ${attach?.to}`],
  ];
  return differs.filter(([isOther]) => isOther).map(([, how]) => how);
}

function listens({ host, port }: ListenAddress, { tcp }: Status): boolean {
  return tcp !== null && new URL(tcp.url).hostname === bracketed(host) && (port === 0 || new URL(tcp.url).port === String(port));
}

function oneOf<T extends string>(names: readonly T[], given: string, what: string): T {
  const name = names.find((each) => each === given);
  if (name !== undefined) return name;
  throw new HvkitError("E_USAGE", `${what} '${given}' is none that there is`, { hint: `Give one of ${names.join(", ")}.` });
}

function memoryBytes(text: string): number {
  const bytes = parseSize(text, "memory");
  if (bytes >= MIN_MEMORY && bytes % 2 ** 20 === 0) return bytes;
  throw new HvkitError("E_MEMORY_SIZE", `the hypervisor's machine cannot have ${text} of memory`, {
    hint: "Give it whole MiB, 64M or more.",
  });
}

function cpuCount(text: string): number {
  const isNumber = /^\d{1,9}$/.test(text);
  const count = isNumber ? Number(text) : 0;
  if (count >= 1 && count <= HostLimit.Cpus) return count;
  const what = isNumber ? `the hypervisor's machine cannot have ${count} CPUs` : `'${text}' is no number of CPUs`;
  throw new HvkitError("E_USAGE", what, { hint: `Give a whole number from 1 to ${HostLimit.Cpus}, for example 2.` });
}
