// hvkit mem: a guest's memory, by guest-physical or linear address, as xxd shows it or into a file.
import { Command, Option } from "@commander-js/extra-typings";
import { checkRange } from "../../api/range.js";
import { parseNumber, showSize } from "../../api/size.js";
import { HvkitError } from "../../errors.js";
import { parseAddress } from "../../inspect/address.js";
import { hexDump } from "../../inspect/hexdump.js";
import { cached, linearPieces } from "../../inspect/memory.js";
import { type MachineView, pagingOf } from "../../inspect/view.js";
import { note, print, printJson } from "../output.js";
import { writeOutput } from "../outputfile.js";
import { ProgressBar } from "../progress.js";
import { SUBJECT, withSubject } from "../subject.js";

const CHUNK = 256 * 1024;
/** a line of the dump: what is printed at once begins with one */
const ROW = 16;
/** --json keeps all in one string */
const MAX_JSON_BYTES = 64 * 2 ** 20;

interface Piece {
  at: bigint;
  bytes: Uint8Array;
}

export const mem = () =>
  new Command("mem")
    .description("print a guest's memory, or write it to a file")
    .argument("<guest-or-snapshot>", SUBJECT)
    .argument("<address>", "for example 0x7c00, rsp or rsp+0x20")
    .argument("[length]", "bytes, for example 64 or 4K", "256")
    .option("-v, --virtual", "the address is the guest's own (linear), as for QEMU's 'x': its page tables are walked")
    .addOption(new Option("-p, --physical", "the address is guest-physical, as for QEMU's 'xp'; the default").conflicts("virtual"))
    .option("-o, --output <file>", "write the bytes to a file instead")
    .option("--json", "print {guest, address, linear, length, hex}; address is null with --virtual, linear without")
    .addHelpText(
      "after",
      `
Examples:
  hvkit mem web 0x7c00 512
  hvkit mem web rsp 64 --virtual
  hvkit mem web 0 128M -o ram.bin
  hvkit mem ./web.hvsnap rsp 64 --virtual`,
    )
    .action(async (guest, addressText, lengthText, { virtual, output, json }) => {
      const length = parseNumber(lengthText, "length");
      if (length < 1) throw new HvkitError("E_NUMBER", "a length of 0 bytes is nothing", { hint: "Give 1 or more, for example 64 or 4K." });
      if (json && length > MAX_JSON_BYTES) {
        throw new HvkitError(
          "E_NUMBER",
          `length ${lengthText} is too large for --json, which prints ${showSize(MAX_JSON_BYTES)} at the most`,
          {
            hint: "Use -o FILE for much memory.",
          },
        );
      }
      await withSubject(guest, async ({ view }) => {
        const address = await parseAddress(addressText, () => view.registers());
        const where = virtual ? { address: null, linear: `0x${address.toString(16)}` } : { address: Number(address), linear: null };
        if (!virtual) checkRange({ name: view.name, memoryBytes: view.memory.bytes }, address, length); // all of it, before anything is printed or opened
        const pieces = () => (virtual ? readVirtual(view, address, length) : readPhysical(view, address, length));
        if (output !== undefined) {
          await save(pieces(), address, length, output);
          if (json) printJson({ guest, ...where, length, file: output });
        } else if (json) {
          const parts: Uint8Array[] = [];
          for await (const { bytes } of pieces()) parts.push(bytes);
          printJson({ guest, ...where, length, hex: Buffer.concat(parts).toString("hex") });
        } else {
          for await (const { at, bytes } of inRows(pieces())) print(hexDump(bytes, at));
        }
      });
    });

async function* readPhysical({ memory }: MachineView, address: bigint, length: number): AsyncGenerator<Piece> {
  for (let done = 0; done < length; done += CHUNK) {
    const at = address + BigInt(done);
    yield { at, bytes: await memory.read(Number(at), Math.min(CHUNK, length - done)) };
  }
}

async function* readVirtual(view: MachineView, address: bigint, length: number): AsyncGenerator<Piece> {
  yield* linearPieces(cached(view.memory), pagingOf(await view.registers()), address, length);
}

/** What does not fill a row waits for the next piece: a dump has short rows at its end only. A failure comes after what was read before it. */
async function* inRows(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
  let rest: Piece | undefined;
  try {
    for await (const { at, bytes } of pieces) {
      const all = rest ? { at: rest.at, bytes: Buffer.concat([rest.bytes, bytes]) } : { at, bytes };
      const whole = all.bytes.length - (all.bytes.length % ROW);
      rest = whole === all.bytes.length ? undefined : { at: all.at + BigInt(whole), bytes: all.bytes.subarray(whole) };
      if (whole > 0) yield { at: all.at, bytes: all.bytes.subarray(0, whole) };
    }
  } catch (error) {
    if (rest) yield rest;
    throw error;
  }
  if (rest) yield rest;
}

async function save(pieces: AsyncIterable<Piece>, address: bigint, length: number, path: string): Promise<void> {
  const progress = new ProgressBar();
  async function* parts() {
    for await (const { at, bytes } of pieces) {
      yield bytes;
      progress.show({ stage: "read", done: Number(at - address) + bytes.length, total: length });
    }
  }
  try {
    await writeOutput(path, parts());
  } finally {
    progress.clear();
  }
  note(`${showSize(length)} to ${path}`);
}
