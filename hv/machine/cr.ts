// Control registers, as far as their accesses exit; and XSETBV. What the CPU or this machine's CPUID does not allow is #GP(0).

import { Register } from "../../protocol/state";
import { cr4Offered, xcr0Offered } from "./cpuid";
import { Cr, CrKind, Outcome } from "./exit";
import * as guest from "./guest";
import { injectGp } from "./inject";
import { anyGpr, codeBytes, cpl, gpr, setAnyGpr } from "./vcpu";

const CR0_TS: u64 = 8;
/** PE, MP, EM, TS: what LMSW loads; it cannot clear PE */
const LMSW_BITS: u64 = 15;
const XCR0_X87: u64 = 1;
const XCR0_SSE: u64 = 2;
const XCR0_AVX: u64 = 4;

export function controlRegister(): Outcome {
  const cr0 = Cr.kind == CrKind.Clts || Cr.kind == CrKind.Lmsw ? guest.read(Register.Cr0) : 0;
  switch (Cr.kind) {
    case CrKind.Read:
      return read();
    case CrKind.Clts:
      return written(guest.write(Register.Cr0, cr0 & ~CR0_TS));
    case CrKind.Lmsw:
      return written(guest.write(Register.Cr0, (cr0 & ~(LMSW_BITS - 1)) | (<u64>Cr.word & LMSW_BITS)));
    default:
      return write();
  }
}

function read(): Outcome {
  const field = fieldOf(Cr.number);
  if (!field) return refused();
  setAnyGpr(Cr.register, guest.read(field));
  return Outcome.Next;
}

function write(): Outcome {
  const field = fieldOf(Cr.number);
  if (!field) return refused();
  let value = anyGpr(Cr.register);
  // Outside of 64-bit mode the operand has 32 bits, whatever the register's upper half holds.
  if (value >> 32 && codeBytes() != 8) value &= 0xffffffff;
  if (field == Register.Cr4 && value & ~cr4Offered()) return refused();
  if (field == Register.Cr8 && value > 15) return refused();
  return written(guest.write(field, value));
}

/** 0: there is no such register, or its accesses never exit. */
function fieldOf(number: u32): u32 {
  switch (number) {
    case 0:
      return Register.Cr0;
    case 2:
      return Register.Cr2;
    case 3:
      return Register.Cr3;
    case 4:
      return Register.Cr4;
    case 8:
      return Register.Cr8;
    default:
      return 0;
  }
}

/** SDM vol. 2, XSETBV: XCR0 only, only components that CPUID offers, x87 always, AVX with SSE. */
export function xsetbv(): Outcome {
  const value = ((<u64>(<u32>gpr(Register.Rdx))) << 32) | <u64>(<u32>gpr(Register.Rax));
  if (cpl() != 0 || <u32>gpr(Register.Rcx) != 0) return refused();
  if (value & ~xcr0Offered() || !(value & XCR0_X87)) return refused();
  if (value & XCR0_AVX && !(value & XCR0_SSE)) return refused();
  return written(guest.write(Register.Xcr0, value));
}

function written(done: bool): Outcome {
  return done ? Outcome.Next : refused();
}

function refused(): Outcome {
  injectGp();
  return Outcome.Injected;
}
