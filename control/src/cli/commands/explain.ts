// hvkit explain: why a guest's entry failed, or would; or why somebody else's did, from a file; or whether a saved guest's would.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Command, Option } from "@commander-js/extra-typings";
import { Vendor } from "../../../../protocol/messages.js";
import type { EntryDocument, EntryFinding, EntryStateDocument } from "../../api/entrystate.js";
import { HvkitError } from "../../errors.js";
import { documentOf, stateOf, withChecks } from "../../explain/document.js";
import { explain as explainState } from "../../explain/explain.js";
import { showValue } from "../../explain/fields.js";
import { MAX_FILE_BYTES, readState } from "../../explain/read.js";
import type { VendorName } from "../../explain/rules.js";
import type { EntryState } from "../../explain/state.js";
import { pdpteAddress, takenFields, vcpuState } from "../../explain/vcpu.js";
import { vendorNames } from "../../hypervisor/texts.js";
import { MAGIC, registerNames } from "../../snapshot/format.js";
import { note, print, printJson, style } from "../output.js";
import { writeOutput } from "../outputfile.js";
import { call } from "../session.js";
import { isSaved, type SavedSubject, withSavedSubject } from "../subject.js";

const VENDORS = ["vmx", "svm"] as const;

interface Found {
  state: EntryState;
  document: EntryStateDocument;
  /** whose state it is */
  title: string;
  /** of a snapshot, which has the guest's part alone: what of the rest is taken */
  taken?: ReadonlyMap<number, bigint>;
}

export const explain = () =>
  new Command("explain")
    .description("say which check of a VM entry a guest's state fails, or a state in a file")
    .argument("<guest-or-file>", "a guest's name or id; a file's path; - for standard input; a snapshot: ./web.hvsnap, snapshot:NAME")
    .option("-o, --output <file>", "write state and checks to a file, as JSON, instead")
    .addOption(new Option("--vendor <vendor>", "of a snapshot: where it would be entered; by default where it was taken").choices(VENDORS))
    .option("--json", "print them as JSON")
    .addHelpText(
      "after",
      `
A file is what -o wrote, JSON with field names, or a kernel's log with KVM's dump of a VMCS or VMCB. docs/explain.md has the rules' names.
A snapshot has no VMCS or VMCB: the checks of the guest's part are made, as its registers would stand in one.

Examples:
  hvkit explain web
  hvkit explain web -o web.json
  hvkit explain ./web.hvsnap --vendor vmx
  dmesg | hvkit explain -`,
    )
    .action(async (subject, { output, vendor, json }) => {
      const { state, document, title, taken } = await find(subject, vendor);
      const explanation = explainState(state, taken);
      // What is not the guest's is not in a snapshot at all: that its checks were not made is no news.
      if (taken) explanation.notMade = explanation.notMade.filter(({ field }) => state.fields.has(field));
      const full = withChecks(document, { ...state, fields: new Map([...(taken ?? []), ...state.fields]) }, explanation);
      if (output !== undefined) {
        await writeOutput(output, parts(`${JSON.stringify(full, null, 2)}\n`));
        note(`${state.fields.size} fields to ${output}`);
      }
      if (json) printJson(full);
      else if (output === undefined) print(showExplanation(title, full, explanation.assumedWidths, taken !== undefined));
    });

async function find(subject: string, vendor: VendorName | undefined): Promise<Found> {
  if (isSnapshotFile(subject)) return withSavedSubject(subject, (saved) => fromSnapshot(saved, vendor));
  if (vendor !== undefined) {
    throw new HvkitError("E_USAGE", "--vendor is of a snapshot", {
      hint: "A guest is entered on the CPU that there is; a file says whose it is.",
    });
  }
  return isFile(subject) ? fromFile(subject) : fromGuest(subject);
}

/** By its name; a path without a snapshot's ending may be of either kind, and begins as one. */
function isSnapshotFile(subject: string): boolean {
  if (!isSaved(subject)) return false;
  if (!subject.includes("/") || subject.endsWith(".hvsnap")) return true;
  if (statSync(subject, { throwIfNoEntry: false })?.isFile() !== true) return false;
  const file = openSync(subject, "r");
  try {
    const begin = Buffer.alloc(MAGIC.length);
    readSync(file, begin, 0, begin.length, 0);
    return begin.equals(MAGIC);
  } finally {
    closeSync(file);
  }
}

/** A path with a slash, or a file of that name here. */
function isFile(subject: string): boolean {
  return subject === "-" || subject.includes("/") || statSync(subject, { throwIfNoEntry: false })?.isFile() === true;
}

async function fromGuest(guest: string): Promise<Found> {
  const document = await call("explain", { guest });
  const name = document.guest?.name ?? guest;
  const { end } = document;
  // Why, the findings say in full.
  const refused = end?.code === "entry-failed" ? `: ${end.text.replace(` ${end.why}`, "")}` : "";
  return { state: stateOf(document), document, title: `${name}${refused}` };
}

/** What the hypervisor would enter, made of the registers. */
async function fromSnapshot({ name, view, file }: SavedSubject, given: VendorName | undefined): Promise<Found> {
  const { header, snapshot } = file.saved;
  const vendor = given ?? (header.engine.vendor === vendorNames[Vendor.Vmx] ? "vmx" : "svm");
  const [registers, { inject }] = [await view.registers(), await view.machine()];
  const at = pdpteAddress(registers);
  const state = vcpuState(vendor, {
    registers: registerNames.map((register) => registers[register] ?? 0n),
    inject,
    injectLength: BigInt(snapshot.entry.injectLength),
    pdptes: at === undefined || at + 32 > view.memory.bytes ? [] : wordsOf(await view.memory.read(at, 32)),
  });
  const document = { ...documentOf(state), guest: { id: header.guest.id, name, image: header.image.name }, build: header.engine.build };
  return {
    state,
    document,
    title: `${name}, as it was saved, on ${vendorNames[vendor === "vmx" ? Vendor.Vmx : Vendor.Svm]}`,
    taken: takenFields(state, header.cpu.cpuid),
  };
}

function wordsOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 8 }, (_, index) => view.getBigUint64(8 * index, true));
}

async function fromFile(path: string): Promise<Found> {
  const name = path === "-" ? "standard input" : path;
  const text = (await (path === "-" ? readInput() : readWhole(path))).toString("utf8");
  const state = readState(text, name);
  const which = state.dumps > 1 ? `, the last of ${state.dumps} dumps` : "";
  const guest = state.guest === undefined ? "" : `, guest ${state.guest}`;
  return { state, document: documentOf(state), title: `${name}${which}${guest}` };
}

async function readWhole(path: string): Promise<Buffer> {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_FILE_BYTES) throw tooLong(path);
  try {
    return await readFile(path);
  } catch (error) {
    throw new HvkitError("E_ENTRY_STATE", `${path} cannot be read: ${(error as Error).message}`, { data: { path }, cause: error });
  }
}

async function readInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_FILE_BYTES) throw tooLong("standard input");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function tooLong(name: string): HvkitError {
  return new HvkitError("E_ENTRY_STATE", `${name} is longer than ${MAX_FILE_BYTES} bytes`, { hint: "Cut the dump out of it." });
}

async function* parts(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** @param isSnapshot it has the guest's part alone */
export function showExplanation(
  title: string,
  { vendor, checks }: EntryDocument,
  widths?: { physical: number; linear: number },
  isSnapshot = false,
): string {
  const { failed, notMade, absent } = checks;
  const verdict =
    failed.length > 0
      ? `${failed.length} ${failed.length === 1 ? "check fails" : "checks fail"}.`
      : notMade.length > 0
        ? "Every check that could be made passes."
        : "Every check passes.";
  const lines = [style(title, "bold"), verdict, ...failed.flatMap((finding, index) => showFinding(finding, index + 1))];
  if (widths) lines.push("", `Address widths are not in it: ${widths.physical} physical and ${widths.linear} linear bits are taken.`);
  if (notMade.length > 0) {
    lines.push("", `Not made, for want of a field: ${notMade.map(showNotMade).join("; ")}.`);
  }
  if (isSnapshot) lines.push("", "Checked is the guest's part: a snapshot has no controls, no host state and no CPU.");
  else if (absent.length > 0) lines.push("", `Fields that it has not (${vendor}): ${absent.join(", ")}.`);
  return lines.join("\n");
}

function showFinding({ rule, text, section, mistake, fields }: EntryFinding, number: number): string[] {
  const width = Math.max(...fields.map((field) => field.text.length));
  const values = fields.map(
    (field) => `     ${field.text.padEnd(width)} = ${field.value === null ? "absent" : showValue(BigInt(field.value))}`,
  );
  return [
    "",
    `${String(number).padStart(2)}. ${style(text, "bold")}`,
    ...values,
    `     ${section} (${rule})`,
    `     Usual mistake: ${mistake}`,
  ];
}

function showNotMade({ rule, fields }: EntryFinding): string {
  const missing = fields.filter(({ value }) => value === null).map(({ text }) => text);
  const [subject] = fields;
  return `${rule}${subject?.value === null ? "" : ` of ${subject?.text}`} (${missing.join(", ")})`;
}
