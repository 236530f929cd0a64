// The machine's persistent state: where each record lies in the state region (Layout.Region..RegionEnd). All that a snapshot needs
// is here and in guest RAM. scripts/lib/layout.mjs reads this file: `export const NAME = changetype<Record>(ADDRESS)` is a record,
// and each address follows from the record before it, so that none overlap. Snapshots of other builds are moved by that table, so that a
// record may go where it is best.

import {
  DebugRecord,
  KeyboardRecord,
  PicRecord,
  PitRecord,
  Port61Record,
  PowerRecord,
  RtcRecord,
  TimersRecord,
  UartRecord,
} from "./devices/records";
import { Layout, VcpuRecord } from "./layout";
import { KvmClockRecord, MachineRecord } from "./records";

// The vCPU's general registers: hv/asm saves and loads them (VcpuRecord of layout.ts).
export const VCPU: usize = Layout.Region;

// hv/machine/{machine,vmx,svm,...}. What every exit looks at besides the general registers, RIP, this record and the interrupt controllers,
// lies in one cache line of 64 bytes.
export const MACHINE: usize = VCPU + VcpuRecord.End;

// hv/machine/devices. 8-byte alignment, whatever the size of the record before.
export const PIC_MASTER: usize = (MACHINE + offsetof<MachineRecord>() + 7) & ~7;
export const PIC_SLAVE: usize = (PIC_MASTER + offsetof<PicRecord>() + 7) & ~7;
export const PIT0: usize = (PIC_SLAVE + offsetof<PicRecord>() + 7) & ~7;
export const PIT1: usize = (PIT0 + offsetof<PitRecord>() + 7) & ~7;
export const PIT2: usize = (PIT1 + offsetof<PitRecord>() + 7) & ~7;
export const COM1: usize = (PIT2 + offsetof<PitRecord>() + 7) & ~7;
export const COM2: usize = (COM1 + offsetof<UartRecord>() + 7) & ~7;
export const RTC: usize = (COM2 + offsetof<UartRecord>() + 7) & ~7;
export const KEYBOARD: usize = (RTC + offsetof<RtcRecord>() + 7) & ~7;
export const PORT61: usize = (KEYBOARD + offsetof<KeyboardRecord>() + 7) & ~7;
export const DEBUG: usize = (PORT61 + offsetof<Port61Record>() + 7) & ~7;
export const POWER: usize = (DEBUG + offsetof<DebugRecord>() + 7) & ~7;
export const TIMERS: usize = (POWER + offsetof<PowerRecord>() + 7) & ~7;
export const KVM_CLOCK: usize = (TIMERS + offsetof<TimersRecord>() + 7) & ~7;
export const STATE_END: usize = (KVM_CLOCK + offsetof<KvmClockRecord>() + 7) & ~7;

export const machine = changetype<MachineRecord>(MACHINE);
export const picMaster = changetype<PicRecord>(PIC_MASTER);
export const picSlave = changetype<PicRecord>(PIC_SLAVE);
export const pit0 = changetype<PitRecord>(PIT0);
export const pit1 = changetype<PitRecord>(PIT1);
export const pit2 = changetype<PitRecord>(PIT2);
export const com1 = changetype<UartRecord>(COM1);
export const com2 = changetype<UartRecord>(COM2);
export const rtc = changetype<RtcRecord>(RTC);
export const keyboard = changetype<KeyboardRecord>(KEYBOARD);
export const port61 = changetype<Port61Record>(PORT61);
export const debug = changetype<DebugRecord>(DEBUG);
export const power = changetype<PowerRecord>(POWER);
export const timers = changetype<TimersRecord>(TIMERS);
export const kvmclock = changetype<KvmClockRecord>(KVM_CLOCK);
