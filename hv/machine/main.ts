// The machine module's exports; what hv/asm calls (see layout.ts for the memory that both share). A machine serves one guest.

import { GuestKind, Status } from "../../protocol/messages";
import { openBlock } from "./boot/block";
import { bootBootSector } from "./boot/bootsector";
import { bootLinux } from "./boot/linux";
import { bootMultiboot } from "./boot/multiboot";
import { bootStatusValue, failed } from "./boot/status";
import { cpuidInit } from "./cpuid";
import { devicesReset } from "./interrupts";
import { clockReset } from "./kvmclock";
import { Layout } from "./layout";
import { pagingInit } from "./paging";
import { restoreInit } from "./restore";
import { STATE_END } from "./state";
import { vendorInit } from "./vendor";

export { event, exit, exitInFull } from "./machine";
export { restore } from "./restore";

/** Once, before all else. `cpuModel`: CpuModel of protocol/messages.ts. A Status. */
export function init(wallSeconds: u64, cpuModel: u32): u32 {
  store<u32>(Layout.StateBytes, <u32>(STATE_END - Layout.Region));
  restoreInit(cpuModel);
  vendorInit();
  pagingInit();
  devicesReset(wallSeconds);
  clockReset(wallSeconds);
  const lacking = cpuidInit(cpuModel);
  return lacking ? failed(Status.CpuLacks, lacking) : Status.Ok;
}

/** Takes the guest from its boot block (protocol/boot.ts) to its first instruction: a Status. */
export function boot(kind: u32, block: u64, bytes: u32): u32 {
  const status = openBlock(block, bytes);
  if (status != Status.Ok) return status;
  switch (kind) {
    case GuestKind.Linux:
      return bootLinux();
    case GuestKind.Multiboot:
      return bootMultiboot();
    case GuestKind.BootSector:
      return bootBootSector();
    default:
      return failed(Status.KindUnknown, kind);
  }
}

/** The value behind a failed Status. */
export function bootValue(): u64 {
  return bootStatusValue();
}
