// Intel VMX: what several checks of an entry look at, read once, and the forms that they share. Below the other vmx*.ts, above state.ts.

import { Failure, VmxRule } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";
import { check, get, zero } from "./state";
import { Access, Entry, Part, Primary, Secondary } from "./vmxbits";

/** Physical-address bits that no address may have. */
export let beyond: u64 = 0;
/** 64 - linear-address bits */
export let unused: u64 = 0;
export let primary: u32 = 0;
export let secondary: u32 = 0;
export let long: bool = false;
export let unrestricted: bool = false;

export function look(): void {
  const width = get(VmxField.AddressBits);
  beyond = -1 << (width & 255);
  unused = 64 - ((width >> 8) & 255);
  primary = <u32>get(VmxField.PrimaryControls);
  secondary = primary & Primary.Secondary ? <u32>get(VmxField.SecondaryControls) : 0;
  long = (get(VmxField.EntryControls) & Entry.Long) != 0;
  unrestricted = (secondary & Secondary.Unrestricted) != 0;
}

/** A physical address whose `low` bits are 0. */
// @ts-ignore: decorator
@inline
export function address(rule: u32, field: u32, low: u64): void {
  zero(rule | (field << Failure.FieldShift), beyond | low);
}

export function canonical(field: u32): void {
  const value = get(field);
  check(VmxRule.Canonical, field, <u64>(<i64>(value << unused) >> unused) == value);
}

export function canonicals(field: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) canonical(field + i);
}

/** CR0 or CR4: the bits that VMX operation fixes (A.7, A.8), but for `free` ones. */
export function fixed(rule: u32, field: u32, fixed0: u32, free: u64): void {
  const value = get(field);
  check(rule, field, (((~value & get(fixed0)) | (value & ~get(fixed0 + 1))) & ~free) == 0);
}

export function access(segment: u32): u32 {
  return <u32>get(segment + Part.Access);
}

export function dpl(segment: u32): u32 {
  return (access(segment) >> 5) & 3;
}

export function usable(segment: u32): bool {
  return !(access(segment) & Access.Unusable);
}
