// States for VMRUN: one of a few modes of a real guest, then changes near the boundaries of what VMRUN checks. Mirrors vmx.ts. Whatever is
// accepted exits at its first fetch: nested paging stays on, with tables that map nothing.

import { get, set } from "../../hv/explain/state";
import { SvmField } from "../../protocol/vcb";
import { below, near, next, oneIn } from "./random";
import { rawEmpty } from "./raw";

const CR0_PG: u64 = 0x80000000;
const CR4_PAE: u64 = 0x20;
const EFER_LME: u64 = 0x100;
const EFER_SVME: u64 = 0x1000;
/** CPUID's physical-address width is 40 bits here at the least */
const FIRST_HIGH: u32 = 32;

export function svmSafe(): void {
  set(SvmField.NestedCr3, rawEmpty(0));
  set(SvmField.NestedControl, 1);
  set(SvmField.EventInjection, 0);
  set(SvmField.TlbControl, 1);
  set(SvmField.InterruptShadow, 0);
}

export function svmMode(): void {
  switch (below(5)) {
    case 0:
      // real mode
      set(SvmField.Cr0, 0x10);
      set(SvmField.Cr4, 0);
      set(SvmField.Efer, EFER_SVME);
      break;
    case 1:
      // 32-bit paging
      set(SvmField.Cr4, get(SvmField.Cr4) & ~CR4_PAE);
      set(SvmField.Efer, EFER_SVME);
      set(SvmField.CsAccess, 0xc9b);
      break;
    case 2:
      // PAE
      set(SvmField.Efer, EFER_SVME);
      set(SvmField.CsAccess, 0xc9b);
      break;
    case 3:
      // compatibility mode, at level 3
      set(SvmField.CsAccess, 0xcfb);
      set(SvmField.SsAccess, 0xcf3);
      set(SvmField.Cpl, 3);
      break;
  }
  if (oneIn(6)) set(SvmField.EventInjection, anyEvent());
}

function anyEvent(): u64 {
  const vector = oneIn(2) ? below(33) : below(256);
  return 0x80000000 | ((<u64>below(8)) << 8) | vector | (oneIn(3) ? 0x800 : 0);
}

/** In the last pages of what can be addressed, or just behind: a map's size decides. */
function nearTop(): u64 {
  return ((<u64>1) << (get(SvmField.AddressBits) & 255)) - ((<u64>below(5)) << 12) + below(4096);
}

export function svmChange(): void {
  const field = <u32>next() % <u32>SvmField.ExitCode;
  switch (below(20)) {
    case 0:
      set(SvmField.Efer, get(SvmField.Efer) ^ ((<u64>1) << below(18)));
      break;
    case 1:
      set(SvmField.Cr0, near(get(SvmField.Cr0)));
      break;
    case 2:
      set(SvmField.Cr4, get(SvmField.Cr4) ^ ((<u64>1) << (oneIn(4) ? 17 : below(34))));
      break;
    case 3:
      set(SvmField.Cr3, near(get(SvmField.Cr3)));
      break;
    case 4:
      set(SvmField.Asid, oneIn(3) ? 1 + below(15) : 0);
      break;
    case 5:
      set(SvmField.Intercepts2, get(SvmField.Intercepts2) ^ 1);
      break;
    case 6:
      set(SvmField.EventInjection, anyEvent());
      break;
    case 7:
      set(SvmField.CsAccess, get(SvmField.CsAccess) ^ ((<u64>1) << below(12)));
      break;
    case 8:
      set(SvmField.CsAccess, get(SvmField.CsAccess) | 0x600);
      break;
    case 9:
      set(oneIn(2) ? SvmField.Dr6 : SvmField.Dr7, near(0xffff0ff0));
      break;
    case 10:
      set(
        oneIn(2) ? SvmField.IopmBase : SvmField.MsrpmBase,
        oneIn(2) ? nearTop() : get(SvmField.IopmBase) ^ ((<u64>1) << (FIRST_HIGH + below(32))),
      );
      break;
    case 11:
      set(SvmField.NestedCr3, get(SvmField.NestedCr3) ^ ((<u64>1) << (FIRST_HIGH + below(32))));
      break;
    case 12:
      set(SvmField.Pat, get(SvmField.Pat) ^ ((<u64>1) << below(64)));
      break;
    case 13:
      set(SvmField.Cr4, get(SvmField.Cr4) ^ CR4_PAE);
      break;
    case 14:
      set(SvmField.Cr0, get(SvmField.Cr0) ^ (oneIn(2) ? CR0_PG : <u64>1));
      break;
    case 15:
      set(SvmField.Cr0, get(SvmField.Cr0) | 0x20000000);
      break;
    default:
      if (isFree(field)) set(field, near(get(field)));
  }
}

/** After all changes: QEMU 7.2 loses the host's CR0 when it leaves a guest with LME, without paging and without PAE. */
export function svmCage(): void {
  if (get(SvmField.Efer) & EFER_LME && !(get(SvmField.Cr0) & CR0_PG)) set(SvmField.Cr4, get(SvmField.Cr4) | CR4_PAE);
}

/** Fields in which any value leaves the exit at the first fetch certain. */
function isFree(field: u32): bool {
  return field >= <u32>SvmField.EsSelector && field <= <u32>SvmField.Pat;
}
