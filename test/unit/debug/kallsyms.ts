// A kernel's table of symbols, as its build makes one.

/** what the offsets count from */
export const BASE = 0xffffffff81000000n;

const align8 = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]);
export const u32 = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);

/** As scripts/kallsyms.c writes it, with each token a character, and "start_" as one of them. */
export function table(symbols: readonly { type: string; name: string; offset: number }[], order: "6.1" | "6.1 backported" | "6.4"): Buffer {
  const START = 200;
  const tokens = Array.from({ length: 256 }, (_, token) =>
    token === START ? "start_" : token > 32 && token < 127 ? String.fromCharCode(token) : `~${token}`,
  );
  const strings = Buffer.from(tokens.map((token) => `${token}\0`).join(""), "latin1");
  const index: number[] = [];
  let at = 0;
  for (const token of tokens) {
    index.push(at);
    at += token.length + 1;
  }
  const packed = symbols.map(({ type, name }) => {
    const text = [...`${type}${name}`.replace("start_", String.fromCharCode(START))].map((letter) => letter.charCodeAt(0));
    return text.length > 127 ? Buffer.from([(text.length & 127) | 128, text.length >> 7, ...text]) : Buffer.from([text.length, ...text]);
  });
  const marks: number[] = [];
  at = 0;
  packed.forEach((name, place) => {
    if (place % 256 === 0) marks.push(at);
    at += name.length;
  });
  const base = Buffer.alloc(8);
  base.writeBigUInt64LE(BASE);
  const offsets = align8(Buffer.from(Int32Array.from(symbols.map(({ offset }) => offset)).buffer));
  const names = [align8(u32(symbols.length)), align8(Buffer.concat(packed)), align8(u32(...marks))];
  const lookup = [align8(strings), align8(Buffer.from(Uint16Array.from(index).buffer))];
  const sequence = align8(Buffer.alloc(symbols.length * 3, 7));
  // Some data before and behind, with digits that are no table.
  const around = align8(Buffer.from("0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0and more", "latin1"));
  const parts =
    order === "6.4"
      ? [...names, ...lookup, offsets, base, sequence]
      : [offsets, base, ...names, ...(order === "6.1" ? [] : [sequence]), ...lookup];
  return Buffer.concat([around, ...parts, around]);
}
