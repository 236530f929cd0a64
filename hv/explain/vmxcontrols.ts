// Intel VMX: the checks of execution, exit and entry controls, and of the event to inject (27.2.1). Called by vmx.ts.

import { VmxRule } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";
import { check, get, only } from "./state";
import { CR0_PE, Entry, Exit, Pin, Primary, Secondary, Type, WITH_ERROR } from "./vmxbits";
import { address, beyond, primary, secondary, unrestricted } from "./vmxcommon";

/** Bits that the capability MSR demands, and no others than it allows. */
function control(field: u32, allowed: u32): void {
  const value = <u32>get(field);
  const must = get(allowed);
  check(VmxRule.ControlMustBeOne, field, (~value & <u32>must) == 0);
  check(VmxRule.ControlMustBeZero, field, (value & ~(<u32>(must >> 32))) == 0);
}

/** `used`: the control bits that make the CPU use the page. */
function page(field: u32, used: u32): void {
  if (used) address(VmxRule.Address4K, field, 0xfff);
}

export function executionControls(): void {
  const pin = <u32>get(VmxField.PinControls);
  control(VmxField.PinControls, VmxField.PinAllowed);
  control(VmxField.PrimaryControls, VmxField.PrimaryAllowed);
  if (primary & Primary.Secondary) control(VmxField.SecondaryControls, VmxField.SecondaryAllowed);
  check(VmxRule.Cr3TargetCount, VmxField.Cr3TargetCount, get(VmxField.Cr3TargetCount) <= ((get(VmxField.Misc) >> 16) & 0x1ff));
  page(VmxField.IoBitmapA, primary & Primary.IoBitmaps);
  page(VmxField.IoBitmapB, primary & Primary.IoBitmaps);
  page(VmxField.MsrBitmap, primary & Primary.MsrBitmaps);
  const delivery = (secondary & Secondary.InterruptDelivery) != 0;
  page(VmxField.VirtualApic, primary & Primary.TprShadow);
  if (primary & Primary.TprShadow) {
    if (!delivery) only(VmxRule.TprThreshold, VmxField.TprThreshold, 15);
  } else check(VmxRule.NeedsTprShadow, VmxField.SecondaryControls, !(secondary & Secondary.OfTprShadow));
  check(VmxRule.VirtualNmis, VmxField.PinControls, (pin & (Pin.Nmi | Pin.VirtualNmis)) != Pin.VirtualNmis);
  check(VmxRule.NmiWindow, VmxField.PrimaryControls, !(primary & Primary.NmiWindow) || (pin & Pin.VirtualNmis) != 0);
  page(VmxField.ApicAccess, secondary & Secondary.ApicAccesses);
  check(VmxRule.X2ApicMode, VmxField.SecondaryControls, (~secondary & (Secondary.ApicAccesses | Secondary.X2Apic)) != 0);
  check(VmxRule.InterruptDelivery, VmxField.PinControls, !delivery || (pin & Pin.External) != 0);
  if (pin & Pin.Posted) {
    const acknowledged = (get(VmxField.ExitControls) & Exit.AcknowledgeInterrupt) != 0;
    check(VmxRule.PostedInterrupts, VmxField.PinControls, delivery && acknowledged);
    only(VmxRule.PostedVector, VmxField.PostedVector, 255);
    address(VmxRule.PostedDescriptor, VmxField.PostedDescriptor, 63);
  }
  check(VmxRule.Vpid, VmxField.Vpid, !(secondary & Secondary.Vpid) || get(VmxField.Vpid) != 0);
  const ept = (secondary & Secondary.Ept) != 0;
  if (ept) eptPointer();
  page(VmxField.PmlAddress, secondary & Secondary.Pml);
  check(VmxRule.NeedsEpt, VmxField.SecondaryControls, ept || !(secondary & Secondary.OfEpt));
  if (secondary & Secondary.Functions) {
    const functions = get(VmxField.VmFunctions);
    only(VmxRule.VmFunctions, VmxField.VmFunctions, get(VmxField.FunctionsAllowed));
    check(VmxRule.EptpSwitching, VmxField.VmFunctions, ept || !(functions & 1));
    page(VmxField.EptpList, <u32>functions & 1);
  }
  page(VmxField.VmreadBitmap, secondary & Secondary.Shadowing);
  page(VmxField.VmwriteBitmap, secondary & Secondary.Shadowing);
  page(VmxField.VirtualizationException, secondary & Secondary.Virtualization);
  check(VmxRule.TscMultiplier, VmxField.TscMultiplier, !(secondary & Secondary.TscScaling) || get(VmxField.TscMultiplier) != 0);
}

/** 25.6.11: memory type 2:0, walk length less 1 5:3, accessed and dirty flags 6. IA32_VMX_EPT_VPID_CAP has what there is (A.10). */
function eptPointer(): void {
  const value = get(VmxField.EptPointer);
  const have = get(VmxField.EptVpid);
  const type = value & 7;
  const length = (value >> 3) & 7;
  // uncacheable 8, write-back 14; 4 levels 6, 5 levels 7
  check(VmxRule.EptMemoryType, VmxField.EptPointer, ((type == 0 || type == 6) && (have >> (8 + type)) & 1) != 0);
  check(VmxRule.EptWalkLength, VmxField.EptPointer, ((length == 3 || length == 4) && (have >> (3 + length)) & 1) != 0);
  check(VmxRule.EptAccessedDirty, VmxField.EptPointer, !(value & 0x40) || (have & 0x200000) != 0);
  address(VmxRule.EptReserved, VmxField.EptPointer, 0xf80);
}

/** An area of MSRs to store or load: 16 bytes each. */
function msrArea(count: u32, field: u32): void {
  const entries = get(count);
  if (entries == 0) return;
  address(VmxRule.MsrAreaAddress, field, 15);
  check(VmxRule.MsrAreaEnd, field, ((get(field) + entries * 16 - 1) & beyond) == 0);
}

export function exitControls(): void {
  control(VmxField.ExitControls, VmxField.ExitAllowed);
  const timer = (get(VmxField.PinControls) & Pin.Timer) != 0;
  check(VmxRule.SaveTimer, VmxField.ExitControls, timer || !(get(VmxField.ExitControls) & Exit.SaveTimer));
  msrArea(VmxField.ExitStoreCount, VmxField.ExitStoreAddress);
  msrArea(VmxField.ExitLoadCount, VmxField.ExitLoadAddress);
}

export function entryControls(): void {
  control(VmxField.EntryControls, VmxField.EntryAllowed);
  check(VmxRule.Smm, VmxField.EntryControls, !(get(VmxField.EntryControls) & Entry.Smm));
  msrArea(VmxField.EntryLoadCount, VmxField.EntryLoadAddress);
}

/** The event that the entry injects, if it does: its type, else -1. */
export let eventType: u32 = -1;
export let eventVector: u32 = 0;

export function event(): void {
  const info = <u32>get(VmxField.EntryInterruption);
  eventType = -1;
  if (!(info >> 31)) return;
  const type = (info >> 8) & 7;
  const vector = info & 255;
  eventType = type;
  eventVector = vector;
  const trapFlag = (get(VmxField.PrimaryAllowed) >> 32) & Primary.TrapFlag;
  check(VmxRule.EventType, VmxField.EntryInterruption, type != 1 && (type != Type.Other || trapFlag != 0));
  const right = type == Type.Nmi ? vector == 2 : type == Type.Exception ? vector < 32 : type != Type.Other || vector == 0;
  check(VmxRule.EventVector, VmxField.EntryInterruption, right);
  const deliver = (info & 0x800) != 0;
  const may = type == Type.Exception && (!unrestricted || (get(VmxField.GuestCr0) & CR0_PE) != 0);
  const usual = vector < 32 && ((WITH_ERROR >> vector) & 1) != 0;
  // IA32_VMX_BASIC[56]: an exception may have an error code or not, whatever its vector
  const free = (get(VmxField.Basic) >> 56) & 1;
  check(VmxRule.EventErrorCode, VmxField.EntryInterruption, may ? free != 0 || deliver == usual : !deliver);
  only(VmxRule.EventReserved, VmxField.EntryInterruption, 0x80000fff);
  if (deliver) only(VmxRule.EventError, VmxField.EntryError, 0xffff);
  if (type < 4 || type == Type.Other) return;
  const length = get(VmxField.EntryLength);
  // IA32_VMX_MISC[30]: a length of 0 is allowed
  check(VmxRule.EventLength, VmxField.EntryLength, length < 16 && (length != 0 || (get(VmxField.Misc) & 0x40000000) != 0));
}
