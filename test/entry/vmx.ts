// States for VMLAUNCH: one of a few modes of a real guest, then changes near the boundaries of what an entry checks. Mirrors svm.ts. Whatever
// is accepted exits at once: the preemption timer has run out, and the EPT maps nothing; one of the two always holds. Host fields get
// values alone that the checker refuses by itself.

import { begin, failures, get, set } from "../../hv/explain/state";
import { vmx } from "../../hv/explain/vmx";
import { VmxField } from "../../protocol/vcb";
import { below, near, next, oneIn } from "./random";
import { rawEmpty } from "./raw";

const PIN_EXTERNAL: u64 = 1;
const PIN_TIMER: u64 = 0x40;
const PRIMARY_SECONDARY: u64 = 0x80000000;
const SECONDARY_EPT: u64 = 2;
const UNRESTRICTED: u64 = 0x80;
const SHADOWING: u64 = 0x4000;
const EXIT_LOAD_EFER: u64 = 0x200000;
const ENTRY_LONG: u64 = 0x200;
const ENTRY_SMM: u64 = 0x400;
const CR0_PE: u64 = 1;
const CR0_PG: u64 = 0x80000000;
const CR4_PAE: u64 = 0x20;
const RFLAGS_IF: u64 = 0x200;
const EVENT_VALID: u64 = 0x80000000;
const SEGMENT_FIELDS: u32 = 4;

export function vmxSafe(): void {
  const empty = rawEmpty(0);
  set(VmxField.EptPointer, empty | 0x1e);
  for (let field: u32 = VmxField.IoBitmapA; field <= <u32>VmxField.PmlAddress; field++) {
    if (isPage(field)) set(field, empty);
  }
  set(VmxField.VirtualizationException, rawEmpty(1));
  set(VmxField.PostedDescriptor, empty);
  set(VmxField.TscMultiplier, (<u64>1) << 48);
  set(VmxField.EntryInterruption, 0);
  set(VmxField.Interruptibility, 0);
  set(VmxField.Activity, 0);
  set(VmxField.PendingDebug, 0);
}

function isPage(field: u32): bool {
  return field != <u32>VmxField.MsrBitmap && field != <u32>VmxField.VmFunctions && field != <u32>VmxField.EptPointer;
}

function flip(field: u32, bits: u64): void {
  set(field, get(field) ^ bits);
}

/** CS, then all others; the stack at the level of the code. */
function rights(cs: u64, data: u64): void {
  for (let segment: u32 = VmxField.GuestEsSelector; segment <= <u32>VmxField.GuestGsSelector; segment += SEGMENT_FIELDS) {
    set(segment + 3, segment == VmxField.GuestCsSelector ? cs : data);
    set(segment, (get(segment) & 0xfffc) | ((data >> 5) & 3));
  }
}

function leaveLong(): void {
  set(VmxField.EntryControls, get(VmxField.EntryControls) & ~ENTRY_LONG);
  set(VmxField.GuestEfer, 0);
}

export function vmxMode(): void {
  switch (below(8)) {
    case 0:
      // real mode
      leaveLong();
      set(VmxField.GuestCr0, get(VmxField.GuestCr0) & ~(CR0_PE | CR0_PG));
      segment16(0x93, 0x93);
      break;
    case 1:
      // virtual-8086 mode
      leaveLong();
      set(VmxField.GuestCr4, get(VmxField.GuestCr4) & ~CR4_PAE);
      set(VmxField.GuestRflags, 0x20202);
      segment16(0xf3, 0xf3);
      break;
    case 2:
      // 32-bit paging
      leaveLong();
      set(VmxField.GuestCr4, get(VmxField.GuestCr4) & ~CR4_PAE);
      rights(0xc09b, 0xc093);
      break;
    case 3:
      // PAE
      leaveLong();
      rights(0xc09b, 0xc093);
      for (let field: u32 = VmxField.Pdpte0; field <= <u32>VmxField.Pdpte3; field++) set(field, oneIn(2) ? 0x1001 : 0);
      break;
    case 4:
      // compatibility mode, at level 3
      rights(0xc0fb, 0xc0f3);
      break;
    case 5:
      // nothing but what a CPU without unrestricted guest has
      flip(VmxField.SecondaryControls, UNRESTRICTED);
      break;
    case 6:
      flip(VmxField.SecondaryControls, UNRESTRICTED);
      rights(0xa0fb, 0xc0f3);
      break;
  }
  if (oneIn(6)) set(VmxField.EntryInterruption, anyEvent());
}

function segment16(cs: u64, data: u64): void {
  rights(cs, data);
  for (let segment: u32 = VmxField.GuestEsSelector; segment <= <u32>VmxField.GuestGsSelector; segment += SEGMENT_FIELDS) {
    set(segment, 0x100);
    set(segment + 1, 0x1000);
    set(segment + 2, 0xffff);
  }
}

function anyEvent(): u64 {
  const vector = oneIn(2) ? below(33) : below(256);
  if (oneIn(2)) set(VmxField.EntryLength, below(18));
  if (oneIn(3)) set(VmxField.EntryError, near(0));
  // Type 7, a pending MTF exit, is what Bochs ends at.
  return EVENT_VALID | ((<u64>below(7)) << 8) | vector | (oneIn(3) ? 0x800 : 0) | (oneIn(8) ? 0x1000 : 0);
}

export function vmxChange(): void {
  switch (below(32)) {
    case 0:
      flip(VmxField.PinControls, (<u64>1) << below(32));
      break;
    case 1:
      flip(VmxField.PrimaryControls, (<u64>1) << below(32));
      break;
    case 2:
      flip(VmxField.SecondaryControls, (<u64>1) << below(32));
      break;
    case 3:
      flip(VmxField.ExitControls, (<u64>1) << below(32));
      break;
    case 4:
      flip(VmxField.EntryControls, (<u64>1) << below(32));
      break;
    case 5:
      set(VmxField.EntryInterruption, anyEvent());
      break;
    case 6:
      controlAddress();
      break;
    case 7:
      msrArea();
      break;
    case 8:
      set(VmxField.Cr3TargetCount, below(8));
      break;
    case 9:
      flip(VmxField.EptPointer, (<u64>1) << (oneIn(3) ? 40 + below(24) : below(12)));
      break;
    case 10:
      set(VmxField.Activity, oneIn(2) ? 1 : 4 << below(30));
      break;
    case 11:
      set(VmxField.Activity, 2 + below(2));
      set(VmxField.Interruptibility, 2);
      break;
    case 12:
      flip(VmxField.Interruptibility, oneIn(4) ? 16 : oneIn(4) ? (<u64>1) << below(32) : below(16));
      break;
    case 13:
      set(VmxField.PendingDebug, (<u64>1) << below(24));
      break;
    case 14:
      set(VmxField.Interruptibility, 1 + below(2));
      set(VmxField.GuestRflags, get(VmxField.GuestRflags) ^ (oneIn(2) ? 0x100 : 0));
      set(VmxField.PendingDebug, oneIn(2) ? 0x4000 : 0);
      break;
    case 15:
      set(VmxField.LinkPointer, oneIn(3) ? rawEmpty(0) : oneIn(2) ? near(0x12345678) : get(VmxField.VmcsAddress));
      break;
    case 16:
    case 17:
      hostField();
      break;
    // What Bochs sees otherwise (docs/explain.md): often enough that a short run shows each.
    case 18:
      flip(VmxField.GuestCr0, CR0_PG);
      break;
    case 19:
      flip(VmxField.GuestRip, (<u64>1) << (32 + below(32)));
      break;
    case 20:
      if (oneIn(2)) flip(VmxField.GuestCsSelector, 1 + below(7));
      else flip(VmxField.GuestSsAccess, 0x20 << below(2));
      break;
    case 21:
      set(VmxField.EntryInterruption, anyEvent());
      set(VmxField.Activity, 1);
      break;
    case 22:
      if (oneIn(2)) flip(VmxField.GuestDebugctl, (<u64>1) << below(40));
      else set(VmxField.PendingDebug, (<u64>1) << (24 + below(40)));
      break;
    case 23:
      segment();
      break;
    default:
      guestField();
  }
}

/** A segment's limit or granularity, its type, or its levels. */
function segment(): void {
  const first = <u32>VmxField.GuestEsSelector + below(8) * SEGMENT_FIELDS;
  switch (below(4)) {
    case 0:
      set(first + 2, oneIn(2) ? 0x100000 : 0xfffff);
      break;
    case 1:
      flip(first + 2, (<u64>1) << below(32));
      break;
    case 2:
      flip(first + 3, oneIn(2) ? 0x8000 : (<u64>1) << below(5));
      break;
    default:
      flip(first, 1 + below(7));
  }
}

/** A page that a control uses, and the control. */
function controlAddress(): void {
  const field = <u32>VmxField.IoBitmapA + below(<u32>VmxField.PmlAddress - <u32>VmxField.IoBitmapA + 1);
  if (field == <u32>VmxField.EptPointer) return;
  flip(VmxField.PrimaryControls, oneIn(2) ? 0x2000000 : 0x200000);
  if (oneIn(2)) flip(VmxField.SecondaryControls, (<u64>1) << below(24));
  if (field == <u32>VmxField.VmFunctions) set(field, below(4));
  else flip(field, (<u64>1) << (oneIn(2) ? below(12) : 36 + below(28)));
  if (oneIn(4)) set(VmxField.TprThreshold, (<u64>1) << (4 + below(28)));
  if (oneIn(8)) set(VmxField.Vpid, 0);
  if (oneIn(8)) set(VmxField.TscMultiplier, 0);
}

/** Entries are there only where their address is refused: what they are is in memory. */
function msrArea(): void {
  const which = 2 * below(3);
  const count = which == 4 ? VmxField.EntryLoadCount : VmxField.ExitStoreCount + which;
  set(count, 1 + below(4));
  set(count + 1, oneIn(2) ? 1 + below(15) : ((<u64>1) << (40 + below(24))) | 0x1000);
}

function guestField(): void {
  const first: u32 = VmxField.GuestCr0;
  const field = first + (<u32>next() % (<u32>VmxField.Pdpte3 + 1 - first));
  if (field == <u32>VmxField.Activity || field == <u32>VmxField.LinkPointer) return;
  const access =
    field >= <u32>VmxField.GuestEsSelector && field <= <u32>VmxField.GuestTrAccess && (field - <u32>VmxField.GuestEsSelector) % 4 == 3;
  if (access) flip(field, (<u64>1) << below(17));
  else set(field, near(get(field)));
}

/** A value that is refused, by this change alone; else none. */
function hostField(): void {
  const field = <u32>VmxField.HostCr0 + below(<u32>VmxField.HostRip + 1 - <u32>VmxField.HostCr0);
  const before = get(field);
  begin();
  vmx();
  const known = failures;
  set(field, near(before));
  begin();
  vmx();
  if (known > 0 || failures == 0) set(field, before);
}

/** After all changes: whatever is accepted exits at once, and harms nobody. */
export function vmxCage(): void {
  // Interrupts of the host's would be the guest's.
  if (!(get(VmxField.PinControls) & PIN_EXTERNAL)) set(VmxField.GuestRflags, get(VmxField.GuestRflags) & ~RFLAGS_IF);
  // What a shadow VMCS must be lies in memory.
  if (get(VmxField.SecondaryControls) & SHADOWING) set(VmxField.LinkPointer, -1);
  // The host's EFER comes back with the exit; entry to SMM is no part of Bochs.
  set(VmxField.ExitControls, get(VmxField.ExitControls) | EXIT_LOAD_EFER);
  set(VmxField.EntryControls, get(VmxField.EntryControls) & ~ENTRY_SMM);
  const secondary = get(VmxField.PrimaryControls) & PRIMARY_SECONDARY ? get(VmxField.SecondaryControls) : 0;
  if (secondary & SECONDARY_EPT) return;
  // Without EPT the guest's addresses are the machine's: nothing may be delivered, and the timer must be on. PDPTEs would come from memory.
  set(VmxField.PinControls, get(VmxField.PinControls) | PIN_TIMER | PIN_EXTERNAL);
  set(VmxField.EntryInterruption, 0);
  set(VmxField.PendingDebug, 0);
  if (!(get(VmxField.EntryControls) & ENTRY_LONG)) set(VmxField.GuestCr4, get(VmxField.GuestCr4) & ~CR4_PAE);
}
