// hvkit mem: a guest's memory, by guest-physical address, as xxd shows it or into a file.
import { Command } from "@commander-js/extra-typings";
import { checkRange } from "../../api/range.js";
import { parseNumber, showSize } from "../../api/size.js";
import type { Client } from "../../client/client.js";
import { HvkitError } from "../../errors.js";
import { note, ProgressLine, print, printJson } from "../output.js";
import { writeOutput } from "../outputfile.js";
import { withClient } from "../session.js";

const CHUNK = 256 * 1024;
/** --json keeps all in one string */
const MAX_JSON_BYTES = 64 * 2 ** 20;

export const mem = () =>
  new Command("mem")
    .description("print a guest's memory, or write it to a file")
    .argument("<guest>", "name or id")
    .argument("<address>", "guest-physical, for example 0x7c00")
    .argument("[length]", "bytes, for example 64 or 4K", "256")
    .option("-o, --output <file>", "write the bytes to a file instead")
    .option("--json", "print {guest, address, length, hex}")
    .addHelpText(
      "after",
      `
Examples:
  hvkit mem web 0x7c00 512
  hvkit mem web 0 128M -o ram.bin`,
    )
    .action(async (guest, addressText, lengthText, { output, json }) => {
      const address = parseNumber(addressText, "address");
      const length = parseNumber(lengthText, "length");
      if (length < 1 || (json && length > MAX_JSON_BYTES))
        throw new HvkitError("E_NUMBER", `length ${lengthText} is not possible`, { hint: "Use -o FILE for much memory." });
      await withClient(async (client) => {
        checkRange(await client.call("inspect", { guest }), address, length); // all of it, before anything is printed or opened
        if (output !== undefined) {
          await save(client, guest, address, length, output);
          if (json) printJson({ guest, address, length, file: output });
        } else if (json) {
          const parts: Buffer[] = [];
          for await (const { bytes } of read(client, guest, address, length)) parts.push(bytes);
          printJson({ guest, address, length, hex: Buffer.concat(parts).toString("hex") });
        } else {
          for await (const { at, bytes } of read(client, guest, address, length)) print(hexDump(bytes, at));
        }
      });
    });

async function* read(client: Client, guest: string, address: number, length: number) {
  for (let done = 0; done < length; done += CHUNK) {
    const at = address + done;
    const part = await client.call("mem", { guest, address: at, length: Math.min(CHUNK, length - done) });
    yield { at, bytes: Buffer.from(part.data, "base64") };
  }
}

async function save(client: Client, guest: string, address: number, length: number, path: string): Promise<void> {
  const progress = new ProgressLine();
  async function* parts() {
    for await (const { at, bytes } of read(client, guest, address, length)) {
      yield bytes;
      progress.show(`${showSize(at - address + bytes.length)} of ${showSize(length)}`);
    }
  }
  try {
    await writeOutput(path, parts());
  } finally {
    progress.clear();
  }
  note(`${showSize(length)} to ${path}`);
}

/** As xxd: address, eight pairs of bytes, text. */
export function hexDump(bytes: Uint8Array, address: number): string {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const row = Buffer.from(bytes.subarray(offset, offset + 16));
    const groups = row.toString("hex").match(/.{1,4}/g) ?? [];
    const text = row.toString("latin1").replace(/[^\x20-\x7e]/g, ".");
    lines.push(`${(address + offset).toString(16).padStart(8, "0")}: ${groups.join(" ").padEnd(39)}  ${text}`);
  }
  return lines.join("\n");
}
