// hvkit explain: why a guest's entry failed, or would; or why somebody else's did, from a file.
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Command } from "@commander-js/extra-typings";
import type { EntryDocument, EntryFinding, EntryStateDocument } from "../../api/entrystate.js";
import { HvkitError } from "../../errors.js";
import { documentOf, stateOf, withChecks } from "../../explain/document.js";
import { explain as explainState } from "../../explain/explain.js";
import { showValue } from "../../explain/fields.js";
import { MAX_FILE_BYTES, readState } from "../../explain/read.js";
import type { EntryState } from "../../explain/state.js";
import { note, print, printJson, style } from "../output.js";
import { writeOutput } from "../outputfile.js";
import { call } from "../session.js";
import { requireGuest } from "../subject.js";

interface Found {
  state: EntryState;
  document: EntryStateDocument;
  /** whose state it is */
  title: string;
}

export const explain = () =>
  new Command("explain")
    .description("say which check of a VM entry a guest's state fails, or a state in a file")
    .argument("<guest-or-file>", "a guest's name or id; a file's path; - for standard input")
    .option("-o, --output <file>", "write state and checks to a file, as JSON, instead")
    .option("--json", "print them as JSON")
    .addHelpText(
      "after",
      `
A file is what -o wrote, JSON with field names, or a kernel's log with KVM's dump of a VMCS or VMCB. docs/explain.md has the rules' names.

Examples:
  hvkit explain web
  hvkit explain web -o web.json
  dmesg | hvkit explain -`,
    )
    .action(async (subject, { output, json }) => {
      if (!subject.includes("/") || subject.endsWith(".hvsnap")) requireGuest(subject, "VMCS or VMCB");
      const { state, document, title } = isFile(subject) ? await fromFile(subject) : await fromGuest(subject);
      const explanation = explainState(state);
      const full = withChecks(document, state, explanation);
      if (output !== undefined) {
        await writeOutput(output, parts(`${JSON.stringify(full, null, 2)}\n`));
        note(`${state.fields.size} fields to ${output}`);
      }
      if (json) printJson(full);
      else if (output === undefined) print(showExplanation(title, full, explanation.assumedWidths));
    });

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

export function showExplanation(title: string, { vendor, checks }: EntryDocument, widths?: { physical: number; linear: number }): string {
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
  if (absent.length > 0) lines.push("", `Fields that it has not (${vendor}): ${absent.join(", ")}.`);
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
