// KVM's paravirtual clock (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst): the guest names two places in its RAM by MSRs, and what is
// written there says what a TSC is worth, so that it need not calibrate against the PIT. The TSC runs at one rate, so a place is
// written when it is named, and again when the TSC jumps; never in between.
//
//   system time   0 version   4 -           8 tsc_timestamp   16 system_time       wall clock   0 version   4 sec   8 nsec
//                24 mul      28 shift (s8)     29 flags       30 -
//
//   nanoseconds = system_time + ((TSC - tsc_timestamp) * 2^shift * mul >> 32); wall clock = sec, nsec + nanoseconds

import { Register } from "../../protocol/state";
import * as guest from "./guest";
import { kvmclock } from "./state";

const ENABLE: u64 = 1;
const SYSTEM_TIME_BYTES: u64 = 32;
const WALL_CLOCK_BYTES: u64 = 12;
/** "Time measures taken across multiple cpus are guaranteed to be monotonic": there is one */
const TSC_STABLE: u32 = 1;

/** Offsets in the guest's structures. */
enum Time {
  Version = 0,
  TscTimestamp = 8,
  SystemTime = 16,
  Mul = 24,
  ShiftFlags = 28,
}
enum Wall {
  Version = 0,
  Seconds = 4,
  Nanoseconds = 8,
}

/** Once, before the guest's first instruction: clock() is 0 at `wallSeconds` since 1970. */
export function clockReset(wallSeconds: u64): void {
  kvmclock.wallSeconds = wallSeconds;
}

export function systemTime(): u64 {
  return kvmclock.systemTime;
}

/** MSR 4B564D01h. Bit 0 clear: the guest wants its RAM back. False: not wholly in RAM, or not at a multiple of four. */
export function setSystemTime(value: u64): bool {
  if (value & ENABLE && !fits(value & ~ENABLE, SYSTEM_TIME_BYTES)) return false;
  kvmclock.systemTime = value;
  refreshClock();
  return true;
}

export function wallClock(): u64 {
  return kvmclock.wallClock;
}

/** MSR 4B564D00h: asks for the structure, once. It is the host's time, whatever the guest has set its CMOS clock to.
 *  Address 0 is none, as under KVM. False as above. */
export function setWallClock(value: u64): bool {
  if (!fits(value, WALL_CLOCK_BYTES)) return false;
  kvmclock.wallClock = value;
  if (!value) return true;
  const version = begin(value);
  guest.ramStore32(value + Wall.Seconds, <u32>kvmclock.wallSeconds);
  guest.ramStore32(value + Wall.Nanoseconds, 0);
  finish(value, version);
  return true;
}

/** Writes the system time anew, if the guest wants it: the TSC has jumped. */
export function refreshClock(): void {
  if (!(kvmclock.systemTime & ENABLE)) return;
  const at = kvmclock.systemTime & ~ENABLE;
  // The TSC between two readings of the clock: their middle belongs to it.
  const before = guest.clock();
  const tsc = guest.read(Register.Tsc);
  const now = before + ((guest.clock() - before) >> 1);
  const version = begin(at);
  guest.ramStore64(at + Time.TscTimestamp, tsc);
  guest.ramStore64(at + Time.SystemTime, now);
  writeRate(at);
  finish(at, version);
}

/** 10^6 / kHz nanoseconds a tick, as mul * 2^(shift - 32) with bit 31 of mul set: exact to half a part in 10^9. */
function writeRate(at: u64): void {
  let numerator: u64 = 1000000;
  let denominator: u64 = guest.tscKhz();
  let shift: u32 = 0;
  for (; numerator >= denominator; shift++) denominator <<= 1;
  for (; numerator << 1 < denominator; shift--) numerator <<= 1;
  guest.ramStore32(at + Time.Mul, <u32>((numerator << 32) / denominator));
  guest.ramStore32(at + Time.ShiftFlags, (shift & 0xff) | (TSC_STABLE << 8));
}

/** The version is odd while the structure is written: the guest reads again then. */
function begin(at: u64): u32 {
  const version = guest.ramLoad32(at) | 1;
  guest.ramStore32(at, version);
  return version;
}

function finish(at: u64, version: u32): void {
  guest.ramStore32(at, version + 1);
}

/** The places that the record names are the guest's own. */
export function clockFits(): bool {
  return (
    (!(kvmclock.systemTime & ENABLE) || fits(kvmclock.systemTime & ~ENABLE, SYSTEM_TIME_BYTES)) &&
    fits(kvmclock.wallClock, WALL_CLOCK_BYTES)
  );
}

function fits(at: u64, bytes: u64): bool {
  const size = guest.ramSize();
  return !(at & 3) && bytes <= size && at <= size - bytes;
}
