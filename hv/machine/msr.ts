// Model-specific registers: one policy table. What it does not list is #GP(0), as on a CPU that does not have the register.

import { Register } from "../../protocol/state";
import { eferOffered, isAmd } from "./cpuid";
import { Outcome } from "./exit";
import * as guest from "./guest";
import { injectGp } from "./inject";
import { refreshClock, setSystemTime, setWallClock, systemTime, wallClock } from "./kvmclock";
import { CR0_PG, canonical, EFER_LMA, EFER_LME, gpr, setGpr } from "./vcpu";

enum Kind {
  /** a Register, any value that guest.write takes */
  Plain,
  /** a Register that holds a linear address: canonical, or #GP */
  Address,
  /** a Register of 32 bits */
  Word,
  Tsc,
  Efer,
  Pat,
  /** reads the constant; writes are dropped */
  Constant,
  /** reads the constant; writes are #GP */
  ReadOnly,
  IntelConstant,
  IntelReadOnly,
  AmdConstant,
  /** kvmclock.ts has them */
  WallClock,
  SystemTime,
}

enum Row {
  Index = 0,
  Kind = 4,
  Value = 8,
  Bytes = 12,
}

// MSR, Kind, Register or constant.
const ROWS = memory.data<u32>([
  // Time and paging: guests read and write these all the time, or the CPU keeps them in the VMCS or VMCB.
  0x10,
  Kind.Tsc,
  Register.Tsc,
  0xc0000080,
  Kind.Efer,
  0,
  0x277,
  Kind.Pat,
  Register.Pat,
  // System calls. Passed through where the CPU allows it, and then never seen here.
  0xc0000081,
  Kind.Plain,
  Register.Star,
  0xc0000082,
  Kind.Address,
  Register.Lstar,
  0xc0000083,
  Kind.Address,
  Register.Cstar,
  0xc0000084,
  Kind.Plain,
  Register.Sfmask,
  0x174,
  Kind.Word,
  Register.SysenterCs,
  0x175,
  Kind.Address,
  Register.SysenterEsp,
  0x176,
  Kind.Address,
  Register.SysenterEip,
  0xc0000100,
  Kind.Address,
  Register.FsBase,
  0xc0000101,
  Kind.Address,
  Register.GsBase,
  0xc0000102,
  Kind.Address,
  Register.KernelGsBase,
  // Microcode revision: there is none to load. Guests write 0 before they read it.
  0x8b,
  Kind.Constant,
  0,
  // IA32_FEATURE_CONTROL: locked, VMX and SGX off. Linux reads it on each Intel CPU.
  0x3a,
  Kind.IntelReadOnly,
  1,
  // IA32_MISC_ENABLE: fast strings; BTS and PEBS are not there. Linux writes back what it read.
  0x1a0,
  Kind.IntelConstant,
  0x1801,
  // MISC_FEATURES_ENABLES: neither CPUID faulting nor ring 3 MWAIT.
  0x140,
  Kind.IntelConstant,
  0,
  // PLATFORM_INFO: no CPUID faulting, no ratios.
  0xce,
  Kind.IntelReadOnly,
  0,
  // SMI_COUNT: no SMI ever comes.
  0x34,
  Kind.IntelReadOnly,
  0,
  // IA32_DEBUGCTL: branch records and single-stepping on branches are not offered; Linux clears it.
  0x1d9,
  Kind.Constant,
  0,
  // HWCR: bit 24, the TSC counts at one rate whatever the P-state. Linux writes it on old families.
  0xc0010015,
  Kind.AmdConstant,
  0x1000000,
  // DE_CFG: whether LFENCE serializes is the host's setting; Linux writes it and goes on.
  0xc0011029,
  Kind.AmdConstant,
  0,
  // Interrupt pending message: no C1E.
  0xc0010055,
  Kind.AmdConstant,
  0,
  // MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW: a clock that needs no calibration. Linux names its places at boot, and takes the
  // second back (0) before it goes to another kernel.
  0x4b564d00,
  Kind.WallClock,
  0,
  0x4b564d01,
  Kind.SystemTime,
  0,
]);
const ROW_COUNT: u32 = 25;

/** RDTSC, where it exits. */
export function readTsc(): void {
  result(guest.read(Register.Tsc));
}

function result(value: u64): void {
  setGpr(Register.Rax, value & 0xffffffff);
  setGpr(Register.Rdx, value >> 32);
}

export function rdmsr(): Outcome {
  const row = find(<u32>gpr(Register.Rcx));
  if (!row) return refused();
  const argument = load<u32>(row + Row.Value);
  let value: u64 = argument;
  const kind = load<u32>(row + Row.Kind);
  if (kind == Kind.WallClock) value = wallClock();
  else if (kind == Kind.SystemTime) value = systemTime();
  else if (kind <= <u32>Kind.Pat) value = guest.read(kind == Kind.Efer ? Register.Efer : argument);
  result(value);
  return Outcome.Next;
}

export function wrmsr(): Outcome {
  const row = find(<u32>gpr(Register.Rcx));
  if (!row) return refused();
  const value = ((<u64>(<u32>gpr(Register.Rdx))) << 32) | <u64>(<u32>gpr(Register.Rax));
  return write(load<u32>(row + Row.Kind), load<u32>(row + Row.Value), value) ? Outcome.Next : refused();
}

function find(index: u32): usize {
  for (let row: usize = ROWS, end = ROWS + ROW_COUNT * Row.Bytes; row < end; row += Row.Bytes) {
    if (load<u32>(row) != index) continue;
    const kind = load<u32>(row + Row.Kind);
    if (kind == Kind.AmdConstant && !isAmd()) return 0;
    if ((kind == Kind.IntelConstant || kind == Kind.IntelReadOnly) && isAmd()) return 0;
    return row;
  }
  return 0;
}

function write(kind: u32, argument: u32, value: u64): bool {
  switch (kind) {
    case Kind.Plain:
      return guest.write(argument, value);
    case Kind.Address:
      return canonical(value) && guest.write(argument, value);
    case Kind.Word:
      return guest.write(argument, value & 0xffffffff);
    case Kind.Tsc:
      return writeTsc(value);
    case Kind.Efer:
      return writeEfer(value);
    case Kind.Pat:
      return patValid(value) && guest.write(argument, value);
    case Kind.WallClock:
      return setWallClock(value);
    case Kind.SystemTime:
      return setSystemTime(value);
    case Kind.ReadOnly:
    case Kind.IntelReadOnly:
      return false;
    default:
      return true;
  }
}

function writeTsc(value: u64): bool {
  const written = guest.write(Register.Tsc, value);
  refreshClock();
  return written;
}

/** Reserved bits; LME does not change while paging is on; LMA is the CPU's (SDM vol. 3, 2.2.1; APM vol. 2, 3.1.7). */
function writeEfer(value: u64): bool {
  const before = guest.read(Register.Efer);
  if (value & ~(eferOffered() | EFER_LMA)) return false;
  if ((value ^ before) & EFER_LME && guest.read(Register.Cr0) & CR0_PG) return false;
  return guest.write(Register.Efer, (value & ~EFER_LMA) | (before & EFER_LMA));
}

/** Each byte is a memory type: 0, 1, 4, 5, 6, 7 (SDM vol. 3, 12.12.2). */
function patValid(value: u64): bool {
  if (value & 0xf8f8f8f8f8f8f8f8) return false;
  // 2 and 3 have bit 1 without bit 2.
  return !(value & 0x0202020202020202 & ~(value >> 1));
}

function refused(): Outcome {
  injectGp();
  return Outcome.Injected;
}
