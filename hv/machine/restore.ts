// A machine goes on from a state region that came from outside, with CPUID rows that came with it. Nothing of either is believed: a record
// that no machine could have left is refused, since its numbers become indices and divisors. What is not state is made here: caches
// of this instance are empty as it is new, windows are asked for again, and the host's timer is armed at the first entry.

import { Status } from "../../protocol/messages";
import { failed } from "./boot/status";
import { cpuidTake } from "./cpuid";
import { PicRecord, PitRecord, UartRecord } from "./devices/records";
import * as guest from "./guest";
import { EVENT_VALID } from "./inject";
import { clockFits } from "./kvmclock";
import {
  COM1,
  COM2,
  com1,
  com2,
  KVM_CLOCK,
  MACHINE,
  machine,
  PIC_MASTER,
  PIC_SLAVE,
  PIT0,
  PIT1,
  PIT2,
  POWER,
  picMaster,
  picSlave,
  pit0,
  pit1,
  pit2,
  power,
  RTC,
  rtc,
  timers,
} from "./state";
import { NEVER } from "./timers";

/** of the clock: beyond all that its cells can say. More days would not fit into what calendar.ts counts them in */
const SECONDS_BITS: u64 = 40;
/** of an interrupt that was broken off */
const VECTOR: u32 = 0xff;

/** What the machine was made as, which no record changes. */
let model: u32 = 0;

export function restoreInit(cpuModel: u32): void {
  model = cpuModel;
  machine.cpuModel = <u8>cpuModel;
}

/** `halted`: the host has it waiting in HLT. A Status, its value by bootValue(). */
export function restore(halted: u32): u32 {
  const wrong = wrongRecord(halted);
  if (wrong) return failed(Status.RecordRefused, wrong);
  const lacking = cpuidTake();
  if (lacking) return failed(Status.CpuLacks, lacking);
  timers.armed = NEVER;
  return Status.Ok;
}

/** The address of the first record that cannot be; 0: none. */
function wrongRecord(halted: u32): usize {
  if (!isPic(picMaster)) return PIC_MASTER;
  if (!isPic(picSlave)) return PIC_SLAVE;
  if (!isPit(pit0)) return PIT0;
  if (!isPit(pit1)) return PIT1;
  if (!isPit(pit2)) return PIT2;
  if (!isUart(com1)) return COM1;
  if (!isUart(com2)) return COM2;
  if (rtc.origin > <i64>guest.clock() || rtc.seconds >> SECONDS_BITS) return RTC;
  if (power.ended || power.spelled > 7) return POWER;
  if (machine.halted > 1 || machine.nmi > 1 || halted > <u32>machine.halted || machine.cpuModel != model) return MACHINE;
  if (machine.deferred && (machine.deferred & ~VECTOR) != <u32>EVENT_VALID) return MACHINE;
  return clockFits() ? 0 : KVM_CLOCK;
}

function isPic(chip: PicRecord): bool {
  return chip.lowest < 8 && chip.int < 2;
}

function isPit(counter: PitRecord): bool {
  return counter.count - 1 < 0x10000 && counter.next <= 0x10000 && counter.mode < 6 && counter.state < 4 && counter.latched < 3;
}

function isUart(uart: UartRecord): bool {
  return <u32>max(uart.rxHead, uart.txHead) < 16 && <u32>max(uart.rxCount, uart.txCount) <= 16;
}
