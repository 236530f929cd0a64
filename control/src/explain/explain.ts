// Which checks of an entry fail on a state, and which could not be made for want of a field.
//
// A check that does not depend on what is absent can be made. Whether it does is found by trying: absent fields as permissive as they can be,
// then filled with patterns. A check that holds whatever they are holds; one that fails whatever the CPU allows fails, if nothing else is
// absent that it looks at; any other was not made.
import { SvmField, VmxField } from "../../../protocol/vcb.js";
import { check, type Failed } from "./checker.js";
import { fieldCount } from "./fields.js";
import { needsOf, ruleOf } from "./rules.js";
import { type EntryState, U64 } from "./state.js";

export interface Explanation {
  failed: Failed[];
  /** and the fields that each lacks */
  notMade: (Failed & { lacks: number[] })[];
  absent: number[];
  /** the address widths were taken to be these, for want of CPUID's */
  assumedWidths: { physical: number; linear: number } | undefined;
}

const CR4_LA57 = 1n << 12n;
const PHYSICAL_BITS = 52;
/** for absent fields: each bit, and each pair of neighbours, is everything that it can be */
const PATTERNS = [0n, U64, 0x5555_5555_5555_5555n, 0xaaaa_aaaa_aaaa_aaaan];
const ALL_ALLOWED = 0xffff_ffff_0000_0000n;

/** @param taken fields that are not in the state, and that are known to be so */
export function explain({ vendor, fields }: EntryState, taken: ReadonlyMap<number, bigint> = new Map()): Explanation {
  const known = new Map([...taken, ...fields]);
  const widthField = vendor === "vmx" ? VmxField.AddressBits : SvmField.AddressBits;
  let assumedWidths: Explanation["assumedWidths"];
  if (!known.has(widthField)) {
    const cr4 = known.get(vendor === "vmx" ? VmxField.HostCr4 : SvmField.Cr4) ?? 0n;
    assumedWidths = { physical: PHYSICAL_BITS, linear: cr4 & CR4_LA57 ? 57 : 48 };
    known.set(widthField, BigInt(assumedWidths.physical | (assumedWidths.linear << 8)));
  }
  const absent = Array.from({ length: fieldCount(vendor) }, (_, field) => field).filter((field) => !known.has(field));
  const permissive = vendor === "vmx" ? permissiveVmx(known) : permissiveSvm;
  const fills = absent.length === 0 ? [() => 0n] : [permissive, ...PATTERNS.map((pattern) => () => pattern)];
  const runs = fills.map((fill) => check(vendor, (field) => known.get(field) ?? fill(field)));
  const results = new Map<string, { failed: Failed; count: number }>();
  for (const failed of runs.flat()) {
    const result = results.get(key(failed)) ?? { failed, count: 0 };
    result.count++;
    results.set(key(failed), result);
  }
  const all = [...results.values()].sort((a, b) => a.failed.rule - b.failed.rule);
  const lacks = ({ rule, field }: Failed): number[] => {
    const found = ruleOf(vendor, rule);
    const read = [field, ...(found ? needsOf(found, field) : [])];
    return read.filter((each) => absent.includes(each));
  };
  const firstOfCpu = vendor === "vmx" ? VmxField.VmcsAddress : SvmField.Features1;
  const fails = (failed: Failed): boolean =>
    results.get(key(failed))?.count === runs.length && lacks(failed).every((field) => field >= firstOfCpu);
  return {
    failed: runs[0]?.filter(fails) ?? [],
    notMade: all.flatMap(({ failed }) => (fails(failed) ? [] : [{ ...failed, lacks: lacks(failed) }])),
    absent,
    assumedWidths,
  };
}

const key = ({ rule, field }: Failed): string => `${rule} ${field}`;

/** What an absent field must be for the most checks to hold: capabilities that allow all and demand nothing. */
function permissiveVmx(known: ReadonlyMap<number, bigint>): (field: number) => bigint {
  return (field) => {
    switch (field) {
      case VmxField.PinAllowed:
      case VmxField.PrimaryAllowed:
      case VmxField.SecondaryAllowed:
      case VmxField.ExitAllowed:
      case VmxField.EntryAllowed:
        return ALL_ALLOWED;
      case VmxField.Basic:
      case VmxField.Misc:
      case VmxField.Cr0Fixed1:
      case VmxField.Cr4Fixed1:
      case VmxField.EptVpid:
      case VmxField.FunctionsAllowed:
        return U64;
      // The one check that wants two fields to differ.
      case VmxField.VmcsAddress:
        return known.get(VmxField.LinkPointer) ?? 0n;
      default:
        return 0n;
    }
  };
}

function permissiveSvm(field: number): bigint {
  return field >= SvmField.Features1 && field <= SvmField.AsidCount ? U64 : 0n;
}
