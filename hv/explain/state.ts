// The state that is checked, and what was found wrong with it: in a place of their own of the module's memory. Below vmx.ts and svm.ts; core
// (hv/core/explain.ts) and Node (main.ts) fill the state and read the failures.

import { Failure } from "../../protocol/rules";
import { VmxField } from "../../protocol/vcb";

/** A u64 for each VmxField, or SvmField: there are fewer of those. */
export const STATE: usize = memory.data(VmxField.Count * 8);
/** The failed checks in the manual's order, u32 each: a rule | its field << Failure.FieldShift. */
export const FAILURES: usize = memory.data(Failure.Most * 4);

/** How many of them. */
export let failures: u32 = 0;

export function begin(): void {
  failures = 0;
}

export function get(field: u32): u64 {
  return load<u64>(STATE + ((<usize>field) << 3));
}

export function set(field: u32, value: u64): void {
  store<u64>(STATE + ((<usize>field) << 3), value);
}

/** The rule holds for this field, or not. Put in at each of its places, so that most calls have one constant and not two. */
// @ts-ignore: decorator
@inline
export function check(rule: u32, field: u32, holds: bool): void {
  if (!holds) fail(rule | (field << Failure.FieldShift));
}

function fail(failure: u32): void {
  if (failures == <u32>Failure.Most) return;
  store<u32>(FAILURES + ((<usize>failures) << 2), failure);
  failures++;
}

/** All bits of the field's value beyond `mask` are 0. */
// @ts-ignore: decorator
@inline
export function only(rule: u32, field: u32, mask: u64): void {
  zero(rule | (field << Failure.FieldShift), ~mask);
}

/** The `bits` of the field that a failure would name are 0. */
export function zero(failure: u32, bits: u64): void {
  if (get(failure >> Failure.FieldShift) & bits) fail(failure);
}

/** Eight memory types of the PAT: 0, 1, 4 to 7. */
export function pat(rule: u32, field: u32): void {
  let value = get(field);
  let good = true;
  for (let entry = 0; entry < 8; entry++) {
    const type = value & 255;
    good = good && type < 8 && (type & 6) != 2;
    value >>= 8;
  }
  check(rule, field, good);
}
