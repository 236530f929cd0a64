// Reads a snapshot. Nothing in it is trusted: each length is held against its limit and the file's end before anything is allocated,
// each part against its digest before it is used. openSnapshot reads the header; readSnapshot goes through the whole file, so that
// what it gives is known to be good when the first thing is changed.
import type { z } from "zod";
import { type Digest, digestOf, startDigest } from "../hypervisor/digest.js";
import { inflateBlock, unpackBlock } from "./block.js";
import { damaged, wrongFormat } from "./errors.js";
import {
  BLOCK_BYTES,
  Compression,
  consoleSchema,
  END_BYTES,
  entrySchema,
  FORMAT_VERSION,
  HEADER,
  headerSchema,
  type Layout,
  layoutSchema,
  limits,
  MAGIC,
  SECTION,
  SectionType,
  type SnapshotHeader,
  vcpuSchema,
} from "./format.js";

/** The bytes of a file, or of a test. `read` fills all of `into`, or fails. */
export interface Source {
  readonly bytes: number;
  read(at: number, into: Uint8Array): Promise<void>;
  /** for who cannot wait: a machine in Node that reads its guest's RAM (offline/ram.ts) */
  readSync(at: number, into: Uint8Array): void;
}

/** A section whose header was checked against the file. */
export interface SectionHead {
  type: SectionType;
  compression: Compression;
  address: number;
  storedBytes: number;
  bytes: number;
  /** of the section in the file */
  at: number;
  head: Buffer;
}

export interface Snapshot {
  header: SnapshotHeader;
  layout: Layout;
  /** by name */
  registers: Record<string, bigint>;
  entry: z.infer<typeof entrySchema>;
  region: Uint8Array;
  fpu: Uint8Array;
  consoleInput: [Uint8Array, Uint8Array];
  ram: readonly SectionHead[];
  bytes: number;
  /** pages of RAM that are not zero, in bytes */
  ramBytes: number;
}

export type Progress = (done: number, total: number) => void;

/** RAM sections in work at once */
const LANES = 4;

export async function openSnapshot(source: Source): Promise<SnapshotHeader> {
  return (await readHeader(source)).header;
}

/** Checks all of the file: every digest, every length, that RAM inflates to what it says, that every part can be read. */
export async function readSnapshot(source: Source, progress: Progress = () => {}): Promise<Snapshot> {
  const whole = await startDigest();
  const { header, head } = await readHeader(source);
  whole.update(head);
  const parts = new Map<SectionType, { data: Buffer; at: number }>();
  const ram: SectionHead[] = [];
  const checks = new Lanes();
  let ramBytes = 0;
  try {
    for (let at = head.length, after = 0; ; ) {
      const section = await readSectionHead(source, at);
      checkOrder(section, after, ram.at(-1), header.memoryBytes);
      const stored = await readStored(source, section);
      if (section.type === SectionType.End) {
        checkEnd(source, section, stored, whole);
        break;
      }
      whole.update(section.head);
      whole.update(stored);
      if (section.type === SectionType.Ram) {
        ram.push(section);
        ramBytes += section.bytes;
        await checks.add(() => inflateRam(section, stored));
      } else parts.set(section.type, { data: stored, at });
      after = section.type;
      at += SECTION.stored + section.storedBytes;
      progress(at, source.bytes);
    }
  } finally {
    await checks.end();
  }
  checks.rethrow();
  const part = (type: SectionType): { data: Buffer; at: number } => {
    const found = parts.get(type);
    if (!found) throw damaged(`section ${SectionType[type]} is missing`, source.bytes);
    return found;
  };
  const json = <S extends z.ZodType>(type: SectionType, schema: S): z.output<S> =>
    parse(part(type).data, schema, SectionType[type], part(type).at);
  const [com1, com2] = json(SectionType.Console, consoleSchema);
  return {
    header,
    layout: json(SectionType.Layout, layoutSchema),
    registers: json(SectionType.Vcpu, vcpuSchema),
    entry: json(SectionType.Entry, entrySchema),
    region: part(SectionType.Region).data,
    fpu: part(SectionType.Fpu).data,
    consoleInput: [Buffer.from(com1, "base64"), Buffer.from(com2, "base64")],
    ram,
    bytes: source.bytes,
    ramBytes,
  };
}

/** Gives every run of pages to `put`, by guest-physical address; digests are held against the file again, which may have changed. */
export async function readRam(
  source: Source,
  { ram }: Snapshot,
  put: (address: number, bytes: Uint8Array) => Promise<void>,
  progress: Progress = () => {},
): Promise<void> {
  const lanes = new Lanes();
  let done = 0;
  try {
    for (const section of ram) {
      await lanes.add(async () => {
        const stored = await readStored(source, section);
        for (const { offset, bytes } of await inflateRam(section, stored)) await put(section.address + offset, bytes);
        progress(++done, ram.length);
      });
    }
  } finally {
    await lanes.end();
  }
  lanes.rethrow();
}

async function readHeader(source: Source): Promise<{ header: SnapshotHeader; head: Buffer }> {
  const fixed = await readBytes(source, 0, Math.min(HEADER.json, source.bytes));
  if (fixed.length < HEADER.json || !fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw wrongFormat("this is not a snapshot of hvkit");
  const version = fixed.readUInt32LE(HEADER.version);
  const jsonBytes = fixed.readUInt32LE(HEADER.jsonBytes);
  if (jsonBytes > limits.headerJson || HEADER.json + jsonBytes > source.bytes)
    throw damaged("its header is longer than it can be", HEADER.jsonBytes);
  const json = await readBytes(source, HEADER.json, jsonBytes);
  const digest = await digestOf(fixed.subarray(0, HEADER.digest), json);
  // The version says what the rest means, so it is believed only where the digest, whose place no version moves, confirms it.
  if (digest !== fixed.readBigUInt64LE(HEADER.digest)) throw damaged("its header's digest is wrong", 0);
  if (version !== FORMAT_VERSION) {
    throw wrongFormat(`the snapshot has format version ${version}; this build reads version ${FORMAT_VERSION}`, {
      found: version,
      expected: FORMAT_VERSION,
    });
  }
  return { header: parse(json, headerSchema, "its header", HEADER.json), head: Buffer.concat([fixed, json]) };
}

/** Lengths and compression, against limits and the file's end. */
async function readSectionHead(source: Source, at: number): Promise<SectionHead> {
  if (at + SECTION.stored > source.bytes) throw damaged("it ends before its end section", at);
  const head = await readBytes(source, at, SECTION.stored);
  const type = head.readUInt32LE(SECTION.type);
  const compression = head.readUInt32LE(SECTION.compression);
  const address = Number(head.readBigUInt64LE(SECTION.address));
  const storedBytes = head.readUInt32LE(SECTION.storedBytes);
  const bytes = head.readUInt32LE(SECTION.bytes);
  const limit = (limits.section as Record<number, number | undefined>)[type];
  if (limit === undefined) throw damaged(`a section has type ${type}, which there is not`, at);
  if (compression !== Compression.Stored && compression !== Compression.Deflate)
    throw damaged(`compression ${compression} is not known`, at);
  if (compression === Compression.Deflate && type !== SectionType.Ram) throw damaged("a section that is not RAM is compressed", at);
  if (bytes > limit || storedBytes > bytes || (compression === Compression.Stored && storedBytes !== bytes)) {
    throw damaged(`section ${SectionType[type]} has an impossible length`, at);
  }
  if (at + SECTION.stored + storedBytes > source.bytes) throw damaged(`section ${SectionType[type]} goes beyond the file's end`, at);
  return { type, compression, address, storedBytes, bytes, at, head };
}

/** Every section once and in order; RAM in blocks inside the guest's memory, by address. */
function checkOrder({ type, address, at }: SectionHead, after: number, lastRam: SectionHead | undefined, memoryBytes: number): void {
  if (type === SectionType.Ram) {
    const first = lastRam ? lastRam.address + BLOCK_BYTES : 0;
    if (address % BLOCK_BYTES !== 0 || address < first || address + BLOCK_BYTES > memoryBytes) {
      throw damaged(`a block of RAM at 0x${address.toString(16)} is out of place`, at);
    }
  } else if (address !== 0) throw damaged(`section ${SectionType[type]} has an address`, at);
  const next = after < SectionType.Console ? [after + 1] : [SectionType.Ram, SectionType.End];
  if (!next.includes(type)) throw damaged(`section ${SectionType[type]} is not where it must be`, at);
}

function checkEnd(source: Source, { at, storedBytes }: SectionHead, stored: Buffer, whole: Digest): void {
  if (storedBytes !== END_BYTES || stored.readBigUInt64LE(0) !== BigInt(at)) throw damaged("its end says another length", at);
  if (stored.readBigUInt64LE(8) !== whole.digest()) throw damaged("the digest over all of it is wrong", at);
  if (at + SECTION.stored + storedBytes !== source.bytes) throw damaged("something follows its end", at + SECTION.stored + storedBytes);
}

async function readStored(source: Source, { type, at, storedBytes, head }: SectionHead): Promise<Buffer> {
  const stored = await readBytes(source, at + SECTION.stored, storedBytes);
  const digest = await digestOf(head.subarray(0, SECTION.digest), stored);
  if (digest !== head.readBigUInt64LE(SECTION.digest)) throw damaged(`the digest of section ${SectionType[type]} is wrong`, at);
  return stored;
}

async function inflateRam(
  { compression, bytes, address, at }: SectionHead,
  stored: Buffer,
): Promise<{ offset: number; bytes: Uint8Array }[]> {
  const block = compression === Compression.Deflate ? await inflateBlock(stored, bytes) : stored;
  const runs = block && unpackBlock(block);
  if (!runs) throw damaged(`the block of RAM at 0x${address.toString(16)} is not one`, at);
  return runs;
}

async function readBytes(source: Source, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  await source.read(at, bytes);
  return bytes;
}

function parse<S extends z.ZodType>(bytes: Buffer, schema: S, what: string, at: number): z.output<S> {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw damaged(`${what} is not JSON`, at);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw damaged(`${what}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`, at);
}

/** A few pieces of work at once. The first failure ends it: `add` throws it, or `rethrow` at the end. */
class Lanes {
  readonly #running = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  /** Resolves when the work has begun. */
  async add(work: () => Promise<unknown>): Promise<void> {
    this.rethrow();
    while (this.#running.size >= LANES) await Promise.race(this.#running);
    this.rethrow();
    const running: Promise<void> = work()
      .then(
        () => {},
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async end(): Promise<void> {
    await Promise.all(this.#running);
  }

  rethrow(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
