// The enums of hv/core/host.ts. That file is AssemblyScript, with decorators that TypeScript does not take, so its numbers are read from
// the text.
import { readFileSync } from "node:fs";

const source = readFileSync("hv/core/host.ts", "utf8");

function named<Name extends string>(name: string): Record<Name, number> {
  const body = new RegExp(`export enum ${name} \\{([^}]*)\\}`).exec(source)?.[1] ?? "";
  const members = [...body.matchAll(/^ {2}(\w+) = (\d+),$/gm)].map(([, member, value]) => [member, Number(value)]);
  return Object.fromEntries(members) as Record<Name, number>;
}

export const FrameState = named<"Absent" | "Host" | "Dirty" | "Clean" | "Owned" | "Reserved">("FrameState");
export const HostFact = named<
  | "Vendor"
  | "Cpus"
  | "TscKhz"
  | "ReadyTsc"
  | "StoreSectors"
  | "Features"
  | "Frames"
  | "Epoch"
  | "Tsc"
  | "IdleNs"
  | "SerialOverruns"
  | "PoolFrames"
  | "Scripted"
  | "CloneFrames"
  | "Reserve"
>("HostFact");
export const Reserve = named<"Most" | "Low" | "Floor">("Reserve");
