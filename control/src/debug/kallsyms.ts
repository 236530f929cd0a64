// A Linux kernel's own table of symbols, which it keeps for its oopses, out of its read-only data. Nothing points to its parts; but one of them
// is plain to see, the 256 tokens that names are packed with, and the others lie around it in an order that has changed but once
// (scripts/kallsyms.c; with offsets from a base and absolute per-CPU symbols, as on all x86-64 since 4.20):
//
//   until 6.3   offsets i32[n] | base u64 | count u32 | names | markers u32[n / 256] | order u8[3 n], in some | tokens | token index u16[256]
//   since 6.4   count u32 | names | markers | tokens | token index | offsets | base | order
//
// Each part begins at a multiple of eight. A name is a length and as many tokens.
import { HvkitError } from "../errors.js";

export interface KernelSymbol {
  address: bigint;
  /** nm's letter: t, T, d, ... */
  type: string;
  name: string;
}

const TOKENS = 256;
const MARKED = 256;
const MIN_SYMBOLS = 1000;
const MAX_SYMBOLS = 2_000_000;

/** @param data the section .rodata. Errors: E_KERNEL_SYMBOLS. */
export function readKallsyms(data: Buffer): KernelSymbol[] {
  for (const tokenTable of tokenTables(data)) {
    const tokens = readTokens(data, tokenTable);
    for (let at = tokenTable.start - 8; at >= 16; at -= 8) {
      const count = data.readUInt32LE(at);
      if (count < MIN_SYMBOLS || count > MAX_SYMBOLS || data.readUInt32LE(at + 4) !== 0) continue;
      const names =
        readNames(data, at + 8, count, tokenTable.start) ?? readNames(data, at + 8, count, tokenTable.start - align8(count * 3));
      const offsets = names && offsetsOf(data, at, count, tokenTable.end);
      if (!names || !offsets) continue;
      return names.map((packed, index) => {
        const text = packed.map((token) => tokens[token] ?? "").join("");
        return { type: text.charAt(0), name: text.slice(1), address: addressOf(data.readInt32LE(offsets.at + index * 4), offsets.base) };
      });
    }
  }
  throw new HvkitError("E_KERNEL_SYMBOLS", "the kernel's symbols cannot be read: it has no table of them that hvkit knows", {
    hint: "It was built without KALLSYMS, or is older than 4.20. Give gdb its vmlinux: --symbols FILE.",
  });
}

/** Before the count, or behind the tokens: where the base is an address of the kernel. */
function offsetsOf(data: Buffer, count: number, symbols: number, tokensEnd: number): { at: number; base: bigint } | undefined {
  const bytes = align8(symbols * 4);
  for (const [at, baseAt] of [
    [count - 8 - bytes, count - 8],
    [tokensEnd, tokensEnd + bytes],
  ] as const) {
    if (at < 0 || baseAt + 8 > data.length) continue;
    const base = data.readBigUInt64LE(baseAt);
    if (base >> 47n === 0x1ffffn) return { at, base };
  }
  return undefined;
}

/** Negative ones are below the base, by one; others are absolute: per-CPU. */
function addressOf(offset: number, base: bigint): bigint {
  return offset >= 0 ? BigInt(offset) : BigInt.asUintN(64, base - 1n - BigInt(offset));
}

/** Where 256 strings end at an index of just their offsets. The digits stand for themselves in it, one after the other. */
function* tokenTables(data: Buffer): Generator<{ start: number; end: number; offsets: number[] }> {
  const digits = Buffer.from([..."0123456789"].map((digit) => `${digit}\0`).join(""), "latin1");
  for (let found = data.indexOf(digits); found >= 0; found = data.indexOf(digits, found + 1)) {
    // Token 30h begins there: 48 strings lie before it.
    let start = found;
    for (let strings = 0x30; strings > 0 && start > 0; strings--) start = data.lastIndexOf(0, start - 2) + 1;
    const offsets: number[] = [];
    let at = start;
    for (let token = 0; token < TOKENS && at >= 0; token++) {
      offsets.push(at - start);
      at = data.indexOf(0, at) + 1;
    }
    const index = align8(at);
    if (index + TOKENS * 2 <= data.length && offsets.every((offset, token) => data.readUInt16LE(index + token * 2) === offset)) {
      yield { start, end: align8(index + TOKENS * 2), offsets };
    }
  }
}

function readTokens(data: Buffer, { start, offsets }: { start: number; offsets: number[] }): string[] {
  return offsets.map((offset) => data.subarray(start + offset, data.indexOf(0, start + offset)).toString("latin1"));
}

/** Undefined: these are not `count` names that end where the markers before `end` begin. */
function readNames(data: Buffer, from: number, count: number, end: number): number[][] | undefined {
  const markers = end - align8(Math.ceil(count / MARKED) * 4);
  if (markers <= from) return undefined;
  const ends: [number, number][] = [];
  let at = from;
  for (let index = 0; index < count; index++) {
    if (at >= markers) return undefined;
    if (index % MARKED === 0 && data.readUInt32LE(markers + (index / MARKED) * 4) !== at - from) return undefined;
    let length = data[at++] ?? 0;
    // Names of more than 127 tokens have a second byte (since 6.1).
    if (length & 0x80) length = (length & 0x7f) | ((data[at++] ?? 0) << 7);
    if (length === 0) return undefined;
    ends.push([at, at + length]);
    at += length;
  }
  if (align8(at) !== markers) return undefined;
  return ends.map(([begin, end]) => [...data.subarray(begin, end)]);
}

function align8(value: number): number {
  return (value + 7) & ~7;
}
