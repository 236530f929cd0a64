// A control block out of a file: this kit's own document, any JSON with field names, or KVM's text in a kernel's log. What a file is, is seen by
// what it begins with, or has in it; whatever is wrong with it is E_ENTRY_STATE, with what was expected.
import { HvkitError } from "../errors.js";
import { fieldCount, fieldOf } from "./fields.js";
import { parseKvmSvm, SVM_BEGINS } from "./kvmsvm.js";
import { parseKvmVmx, VMX_BEGINS } from "./kvmvmx.js";
import type { VendorName } from "./rules.js";
import { type EntryState, U64 } from "./state.js";

/** A kernel's log has some megabytes at most. */
export const MAX_FILE_BYTES = 64 * 2 ** 20;

export interface ReadState extends EntryState {
  /** which of how many dumps in the file it is: the last */
  dumps: number;
  /** where it comes from, if the document says so */
  guest: string | undefined;
}

const HINT =
  "`hvkit explain` reads what `hvkit explain GUEST -o FILE` wrote, a kernel's log with KVM's dump, or JSON: " +
  '{"vendor": "vmx", "fields": {"GuestCr0": "0x80000031"}}; docs/explain.md has the names.';

function refuse(what: string, data: Record<string, unknown> = {}): HvkitError {
  return new HvkitError("E_ENTRY_STATE", what.replaceAll(/\p{Cc}/gu, "?"), { hint: HINT, data });
}

export function readState(text: string, name: string): ReadState {
  if (text.trimStart().startsWith("{")) return readJson(text, name);
  // A file that ends within a line may end within a number, which then would be another one.
  const lines = text.replace(/[0-9a-fx]+$/i, "").split("\n");
  const begins = lines.flatMap((line, index) => (VMX_BEGINS.test(line) || SVM_BEGINS.test(line) ? [index] : []));
  const last = begins.at(-1);
  if (last === undefined) {
    const binary = text.includes("\0") || text.includes("�");
    throw refuse(`${name} ${binary ? "is not text" : "has no dump of a control block in it"}`);
  }
  const vendor: VendorName = VMX_BEGINS.test(lines[last] ?? "") ? "vmx" : "svm";
  const part = lines.slice(last);
  const fields = vendor === "vmx" ? parseKvmVmx(part) : parseKvmSvm(part);
  if (fields.size === 0) throw refuse(`the dump in ${name} ends before its first field`, { line: last + 1 });
  return { vendor, fields, dumps: begins.length, guest: undefined };
}

function readJson(text: string, name: string): ReadState {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw refuse(`${name} is not whole JSON: ${(error as Error).message}`);
  }
  const { format, version, vendor, fields, guest } = document as Record<string, unknown>;
  if (format !== undefined && format !== "hvkit-entry-state") throw refuse(`${name} is another document: ${JSON.stringify(format)}`);
  if (version !== undefined && version !== 1)
    throw refuse(`${name} has version ${JSON.stringify(version)} of the form; this build reads 1`);
  if (vendor !== "vmx" && vendor !== "svm") throw refuse(`${name} does not say whose state it is: "vendor" must be "vmx" or "svm"`);
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw refuse(`${name} has no "fields"`);
  const entries = Object.entries(fields);
  if (entries.length === 0) throw refuse(`${name} has no field in "fields"`);
  const read = new Map(entries.map(([key, value]) => [fieldNumber(vendor, key, name), fieldValue(key, value, name)]));
  const from = (guest as { name?: unknown } | null | undefined)?.name;
  return { vendor, fields: read, dumps: 1, guest: typeof from === "string" ? from.replaceAll(/\p{Cc}/gu, "?") : undefined };
}

function fieldNumber(vendor: VendorName, key: string, name: string): number {
  const field = fieldOf(vendor, key);
  if (field === undefined) {
    throw refuse(`${name} has a field ${JSON.stringify(key)}, which is none of the ${fieldCount(vendor)} of ${vendor}`, { field: key });
  }
  return field;
}

/** "0x80000031", "80000031h", or a number that JSON can say exactly. */
function fieldValue(key: string, value: unknown, name: string): bigint {
  const digits = typeof value === "string" ? (/^0x([0-9a-f]+)$/i.exec(value) ?? /^([0-9][0-9a-f]*)h$/i.exec(value))?.[1] : undefined;
  const number = digits !== undefined ? BigInt(`0x${digits}`) : Number.isSafeInteger(value) ? BigInt(value as number) : -1n;
  if (number >= 0n && number <= U64) return number;
  throw refuse(`${name}: ${key} is ${JSON.stringify(value)?.slice(0, 80)}, not a number of 64 bits`, { field: key });
}
