// The enums of hv/core/host.ts. That file is AssemblyScript, with decorators that TypeScript does not take: the build's own reader
// gets its numbers.
import { enumsOf } from "../../../scripts/lib/protocol.mjs";

const enums = (await enumsOf("hv/core/host.ts")) as Map<string, [name: string, value: number][]>;
const named = <Name extends string>(name: string): Record<Name, number> => Object.fromEntries(enums.get(name) ?? []) as Record<Name, number>;

export const FrameState = named<"Absent" | "Host" | "Dirty" | "Clean" | "Owned">("FrameState");
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
>("HostFact");
