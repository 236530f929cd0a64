// Linux' log out of its memory: the ring of printk (Linux, kernel/printk/printk_ringbuffer.h; since 5.10). Descriptors, one a message, say
// whether it is whole and where its text lies; a record beside each has the time, the level, the length. Where their fields are, the kernel
// says (vmcoreinfo.ts, or btf.ts). Nothing that the ring says is believed beyond its bounds: a guest may have written anything there.
//
//   prb -> printk_ringbuffer   desc_ring       count_bits, descs, infos, head_id, tail_id
//                              text_data_ring  size_bits, data
//   descriptor   state_var: state 63:62, id 61:0   text_blk_lpos: begin, next, positions in the text that only grow
//   text block   id u64, then the text
import { HvkitError } from "../errors.js";
import { cached, readLinear } from "../inspect/memory.js";
import type { PagingRegisters, PhysicalMemory } from "../inspect/walk.js";

export interface LogRecord {
  seq: bigint;
  /** nanoseconds since boot */
  ns: bigint;
  /** 0 emergency to 7 debug (syslog(2)) */
  level: number;
  /** 0 the kernel, 1 user, ... (RFC 5424, 6.2.1) */
  facility: number;
  /** as it is: it may have any bytes, and several lines */
  text: string;
}

export interface KernelLog {
  records: LogRecord[];
  /** messages whose text had to make room, or was being written at that moment */
  lost: number;
}

/** Names as VMCOREINFO has them. Undefined where there is no such thing. */
export interface Structures {
  symbol(name: string): bigint | undefined;
  offset(field: string): number | undefined;
  size(type: string): number | undefined;
}

const MOST_DESCRIPTOR_BITS = 20;
const MOST_TEXT_BITS = 25;
const MOST_STRUCTURE = 4096;
const ID = 2n ** 62n - 1n;
const COMMITTED = 1n;
const FINALIZED = 2n;
/** a position that stands for "no text" has bit 0 set */
const NO_TEXT = 1n;
const BLOCK_ID_BYTES = 8;

/** Errors: E_LOG. */
export async function readLog(memory: PhysicalMemory, paging: PagingRegisters, names: Structures): Promise<KernelLog> {
  const places = placesOf(names);
  const read = async (what: string, address: bigint, length: number): Promise<DataView> => {
    try {
      const bytes = await readLinear(kept, paging, address, length);
      return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } catch (error) {
      if (!(error instanceof HvkitError) || error.code !== "E_UNMAPPED") throw error;
      throw bad(`${what} cannot be read: ${error.message}`, error);
    }
  };
  const kept = cached(memory);
  const { ring, descriptor, info } = places;
  const at = (await read("the pointer to it", places.prb, 8)).getBigUint64(0, true);
  const head = await read("it", at, ring.bytes);
  const count = 2 ** bits(head.getUint32(ring.countBits, true), MOST_DESCRIPTOR_BITS, "descriptors");
  const textBytes = 2 ** bits(head.getUint32(ring.sizeBits, true), MOST_TEXT_BITS, "bytes of text");
  const [first, last] = [head.getBigUint64(ring.tailId, true) & ID, head.getBigUint64(ring.headId, true) & ID];
  const used = Number((last - first) & ID) + 1;
  if (used > count) throw bad("its first and its last message do not fit together");
  const [descriptors, infos, text] = await Promise.all([
    read("its descriptors", head.getBigUint64(ring.descs, true), count * descriptor.bytes),
    read("its records", head.getBigUint64(ring.infos, true), count * info.bytes),
    read("its text", head.getBigUint64(ring.data, true), textBytes),
  ]);
  const log: KernelLog = { records: [], lost: 0 };
  for (let number = 0; number < used; number++) {
    const id = (first + BigInt(number)) & ID;
    const index = Number(id % BigInt(count));
    const from = index * descriptor.bytes;
    const state = descriptors.getBigUint64(from + descriptor.state, true);
    // One that is not written yet is no message.
    if ((state & ID) !== id || (state >> 62n !== COMMITTED && state >> 62n !== FINALIZED)) continue;
    const begin = descriptors.getBigUint64(from + descriptor.begin, true);
    const next = descriptors.getBigUint64(from + descriptor.next, true);
    const length = infos.getUint16(index * info.bytes + info.length, true);
    const found = textOf(text, { begin, next, id, length });
    if (found === undefined) log.lost++;
    else {
      log.records.push({
        seq: infos.getBigUint64(index * info.bytes + info.seq, true),
        ns: infos.getBigUint64(index * info.bytes + info.time, true),
        facility: infos.getUint8(index * info.bytes + info.length + 2),
        // the upper three bits of the byte behind it
        level: infos.getUint8(index * info.bytes + info.length + 3) >> 5,
        text: found,
      });
    }
  }
  return log;
}

/** A block that the ring's end would cut lies at its beginning instead. Undefined: it is this message's no more. */
function textOf(
  ring: DataView,
  { begin, next, id, length }: { begin: bigint; next: bigint; id: bigint; length: number },
): string | undefined {
  const size = BigInt(ring.byteLength);
  // Of an empty message nothing is kept; of one whose text was dropped neither.
  if (begin & NO_TEXT || next & NO_TEXT) return length === 0 ? "" : undefined;
  const wraps = begin / size !== next / size && next % size !== 0n;
  const from = wraps ? 0 : Number(begin % size);
  const end = wraps || begin / size === next / size ? Number(next % size) : ring.byteLength;
  if (end - from < BLOCK_ID_BYTES || (ring.getBigUint64(from, true) & ID) !== id) return undefined;
  const bytes = Math.min(length, end - from - BLOCK_ID_BYTES);
  return Buffer.from(ring.buffer, ring.byteOffset + from + BLOCK_ID_BYTES, bytes).toString("latin1");
}

function placesOf(names: Structures) {
  const missing: string[] = [];
  const need = <T>(what: string, value: T | undefined): T | undefined => {
    if (value === undefined) missing.push(what);
    return value;
  };
  const offset = (...path: string[]): number => path.reduce((sum, field) => sum + (need(field, names.offset(field)) ?? 0), 0);
  const size = (type: string): number => need(type, names.size(type)) ?? 0;
  const prb = need("prb", names.symbol("prb")) ?? 0n;
  const [descRing, textRing] = ["printk_ringbuffer.desc_ring", "printk_ringbuffer.text_data_ring"];
  const ring = {
    bytes: size("printk_ringbuffer"),
    countBits: offset(descRing, "prb_desc_ring.count_bits"),
    descs: offset(descRing, "prb_desc_ring.descs"),
    infos: offset(descRing, "prb_desc_ring.infos"),
    headId: offset(descRing, "prb_desc_ring.head_id"),
    tailId: offset(descRing, "prb_desc_ring.tail_id"),
    sizeBits: offset(textRing, "prb_data_ring.size_bits"),
    data: offset(textRing, "prb_data_ring.data"),
  };
  const descriptor = {
    bytes: size("prb_desc"),
    state: offset("prb_desc.state_var"),
    begin: offset("prb_desc.text_blk_lpos", "prb_data_blk_lpos.begin"),
    next: offset("prb_desc.text_blk_lpos", "prb_data_blk_lpos.next"),
  };
  const info = {
    bytes: size("printk_info"),
    seq: offset("printk_info.seq"),
    time: offset("printk_info.ts_nsec"),
    length: offset("printk_info.text_len"),
  };
  if (missing.length > 0) throw bad(`the kernel does not say where ${missing[0]} is: it is older than 5.10, or was built without it`);
  for (const { bytes, ...fields } of [ring, descriptor, info]) {
    if (bytes > MOST_STRUCTURE || Object.values(fields).some((at) => at + 8 > bytes)) throw bad("the kernel says what cannot be of it");
  }
  return { prb, ring, descriptor, info };
}

function bits(value: number, most: number, what: string): number {
  if (value >= 1 && value <= most) return value;
  throw bad(`it says that it has 2^${value} ${what}`);
}

function bad(why: string, cause?: unknown): HvkitError {
  return new HvkitError("E_LOG", `the kernel's log cannot be read: ${why}`, {
    hint: "`hvkit logs` has what a guest wrote on its console.",
    cause,
  });
}
