// KVM's dump of a VMCB in a kernel's log, as its SVM half prints it when an entry fails: names, a colon, a number; two to a line in
// the save area. Whatever a log puts before them is passed over.
import { SvmField as F } from "../../../protocol/vcb.js";

const segments: Record<string, F> = {
  es: F.EsSelector,
  cs: F.CsSelector,
  ss: F.SsSelector,
  ds: F.DsSelector,
  fs: F.FsSelector,
  gs: F.GsSelector,
  ldtr: F.LdtrSelector,
  tr: F.TrSelector,
};
const tables: Record<string, [base: F, limit: F]> = { gdtr: [F.GdtrBase, F.GdtrLimit], idtr: [F.IdtrBase, F.IdtrLimit] };

const hexadecimal: Record<string, F> = {
  exceptions: F.InterceptExceptions,
  iopm_base_pa: F.IopmBase,
  msrpm_base_pa: F.MsrpmBase,
  int_ctl: F.VIntr,
  int_state: F.InterruptShadow,
  exit_code: F.ExitCode,
  exit_info1: F.ExitInfo1,
  exit_info2: F.ExitInfo2,
  nested_cr3: F.NestedCr3,
  efer: F.Efer,
  cr0: F.Cr0,
  cr2: F.Cr2,
  cr3: F.Cr3,
  cr4: F.Cr4,
  dr6: F.Dr6,
  dr7: F.Dr7,
  rflags: F.Rflags,
  rip: F.Rip,
  rsp: F.Rsp,
  rax: F.Rax,
  gpat: F.Pat,
};
const decimal: Record<string, F> = { asid: F.Asid, tlb_ctl: F.TlbControl, nested_ctl: F.NestedControl, cpl: F.Cpl };
/** Two names that are halves of a field. */
const halves: [low: string, high: string, shift: bigint, field: F][] = [
  ["cr_read", "cr_write", 16n, F.InterceptCr],
  ["dr_read", "dr_write", 16n, F.InterceptDr],
  ["event_inj", "event_inj_err", 32n, F.EventInjection],
];

export const SVM_BEGINS = /VMCB Control Area:/;

const SEGMENT =
  /(?<!\w)(es|cs|ss|ds|fs|gs|gdtr|ldtr|idtr|tr):\s*s: ([0-9a-f]{1,4}) a: ([0-9a-f]{1,4}) l: ([0-9a-f]{1,8}) b: ([0-9a-f]{1,16})/;
const PAIR = /(?<!\w)([a-z][a-z0-9_]*):\s*([0-9a-f]{1,16})(?![0-9a-z_:.])/g;
/** One word of 64 bits in older kernels, two of 32 in newer ones. */
const INTERCEPTS = /(?<!\w)intercepts:\s*([0-9a-f]{8}) ?([0-9a-f]{8})(?![0-9a-f])/;

/** Lines from a dump's first heading on. */
export function parseKvmSvm(lines: readonly string[]): Map<number, bigint> {
  const fields = new Map<number, bigint>();
  const parts = new Map<string, bigint>();
  const set = (field: F, value: bigint): void => {
    if (!fields.has(field)) fields.set(field, value);
  };
  for (const text of lines) {
    const segment = SEGMENT.exec(text);
    if (segment) {
      const [selector, access, limit, base] = segment.slice(2).map((digits) => BigInt(`0x${digits}`)) as [bigint, bigint, bigint, bigint];
      const name = segment[1] ?? "";
      const table = tables[name];
      const first = segments[name];
      if (table) {
        set(table[0], base);
        set(table[1], limit);
      } else if (first !== undefined) {
        for (const [index, value] of [selector, base, limit, access].entries()) set(first + index, value);
      }
      continue;
    }
    const words = INTERCEPTS.exec(text);
    if (words) {
      const apart = /intercepts:\s*[0-9a-f]{8} /.test(text);
      const [first, second] = [BigInt(`0x${words[1]}`), BigInt(`0x${words[2]}`)];
      set(F.Intercepts1, apart ? first : second);
      set(F.Intercepts2, apart ? second : first);
      continue;
    }
    for (const [, name = "", digits = ""] of text.matchAll(PAIR)) {
      const field = Object.hasOwn(hexadecimal, name) ? hexadecimal[name] : undefined;
      const number = Object.hasOwn(decimal, name) ? decimal[name] : undefined;
      if (field !== undefined) set(field, BigInt(`0x${digits}`));
      else if (number !== undefined && /^\d+$/.test(digits)) set(number, BigInt(digits));
      else if (!parts.has(name)) parts.set(name, BigInt(`0x${digits}`));
    }
  }
  for (const [low, high, shift, field] of halves) {
    const value = parts.get(low);
    if (value !== undefined) set(field, value | ((parts.get(high) ?? 0n) << shift));
  }
  return fields;
}
