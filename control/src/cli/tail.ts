// The last lines of a console's log (`logs --tail`): where they begin, found from the end on, piece by piece.
import type { Client } from "../client/client.js";

const PIECE_BYTES = 64 * 1024;
const LF = 0x0a;

/** The offset of the last `lines` lines, and the log's end; a last line without its LF is one. */
export async function tailOf(client: Client, guest: string, lines: number): Promise<{ offset: number; end: number }> {
  const read = (offset: number, length: number) => client.call("logs", { guest, offset, length });
  const { start, end } = await read(Number.MAX_SAFE_INTEGER, 1);
  if (lines === 0) return { offset: end, end };
  let left = lines;
  for (let before = end; before > start; ) {
    const from = Math.max(start, before - PIECE_BYTES);
    const part = await read(from, before - from);
    if (part.offset > from) return { offset: part.offset, end }; // the log has moved on
    const bytes = Buffer.from(part.data, "base64");
    for (let at = bytes.length - 1; at >= 0; at--) {
      // The LF at the very end ends the last line; one before it is before a line that counts.
      if (bytes[at] !== LF || from + at === end - 1) continue;
      if (--left === 0) return { offset: from + at + 1, end };
    }
    before = from;
  }
  return { offset: start, end };
}
