// The snapshot file's form: every number in it once, and the schemas of its JSON parts. docs/snapshot.md describes it for people.
// writer.ts makes such a file, reader.ts takes it apart; all numbers are little endian.
//
//   file      header, sections in the order of their types (Ram: any number, by address), nothing after End
//   header    magic 8 | version u32 | bytes of the JSON u32 | XXH64 u64 of the 16 bytes before it and the JSON | JSON
//   section   type u32 | compression u32 | address u64 | stored bytes u32 | bytes u32 | XXH64 u64 of the 24 bytes before it and what
//             is stored | what is stored
import { z } from "zod";
import { GuestLimit, HostLimit } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { MAX_DESCRIPTION, NAME, PRINTABLE } from "../api/name.js";
import { registerName } from "../hypervisor/texts.js";

export const FORMAT_VERSION = 1;

/** As PNG's: a byte above 7 bits, both line ends and an end of file show what a text transfer does to it. */
export const MAGIC = Buffer.from("\x89HVS\r\n\x1a\n", "latin1");

/** Offsets into the header. */
export const HEADER = { version: 8, jsonBytes: 12, digest: 16, json: 24 } as const;

/** Offsets into a section's header. */
export const SECTION = { type: 0, compression: 4, address: 8, storedBytes: 16, bytes: 20, digest: 24, stored: 32 } as const;

export enum SectionType {
  /** JSON: registers by name */
  Vcpu = 1,
  /** JSON: what the next entry delivers, what waits, the clock */
  Entry = 2,
  /** JSON: the layout table of the state region */
  Layout = 3,
  /** the state region, as the layout table says */
  Region = 4,
  /** XSAVE area, standard form */
  Fpu = 5,
  /** JSON: console input that the guest has not read */
  Console = 6,
  /** a block of RAM: a bitmap of its pages that are not zero, then these pages */
  Ram = 7,
  /** how many bytes come before it, u64, and their XXH64, u64 */
  End = 8,
}

export enum Compression {
  Stored = 0,
  /** raw deflate (RFC 1951) */
  Deflate = 1,
}

export const PAGE_BYTES = 4096;
/** what one Ram section covers; its address is a multiple of it */
export const BLOCK_BYTES = 2 ** 20;
export const BLOCK_PAGES = BLOCK_BYTES / PAGE_BYTES;
/** bit n of the bitmap, counted from its first byte's lowest bit, is page n of the block */
export const BITMAP_BYTES = BLOCK_PAGES / 8;
export const END_BYTES = 16;

const KIB = 1024;
const MIB = 2 ** 20;
/** What a part may have at most: more is refused before it is read. */
export const limits = {
  headerJson: 8 * MIB,
  /** files in the header; more need not be named, one keeps the guest from a reset */
  added: 256,
  section: {
    [SectionType.Vcpu]: 16 * KIB,
    [SectionType.Entry]: 4 * KIB,
    [SectionType.Layout]: 256 * KIB,
    [SectionType.Region]: 64 * KIB,
    [SectionType.Fpu]: 4 * KIB,
    [SectionType.Console]: 64 * KIB,
    [SectionType.Ram]: BITMAP_BYTES + BLOCK_BYTES,
    [SectionType.End]: END_BYTES,
  } satisfies Record<SectionType, number>,
  memoryBytes: GuestLimit.MaxMiB * MIB,
} as const;

const u32 = z.int().min(0).max(0xffff_ffff);
const u64 = z
  .string()
  .regex(/^0x(?:0|[1-9a-f][0-9a-f]{0,15})$/)
  .transform((text) => BigInt(text));
const identifier = z.string().regex(/^[A-Za-z][A-Za-z0-9_.]{0,63}$/);
const text = z.string().max(MAX_DESCRIPTION).regex(PRINTABLE);
const name = z.string().regex(NAME);
const guestId = z.string().regex(/^[0-9a-f]{12}$/);

export const headerSchema = z.strictObject({
  name,
  description: text,
  createdAt: z.iso.datetime(),
  /** when the guest's clocks stopped: before that where it was paused; left out: then */
  clockAt: z.iso.datetime().optional(),
  guest: z.strictObject({
    id: guestId,
    name,
    /** id of the guest from which this one goes back by restores; its own when it was run */
    lineage: guestId,
  }),
  /** what it was started from, for a reset */
  image: z.strictObject({
    /** a name, or a folder's absolute path */
    reference: z.string().min(1).max(4096),
    name: text,
    kind: z.enum(["linux", "multiboot", "bootsector"]),
    append: z.string().max(4096),
    /** files that `run --add` put into it; their contents are not kept */
    added: z.array(z.strictObject({ path: z.string().max(4096), bytes: z.int().min(0) })).max(limits.added),
  }),
  engine: z.strictObject({ name: text, accel: text, vendor: text, build: text }),
  memoryBytes: z
    .int()
    .min(GuestLimit.MinMiB * MIB)
    .max(GuestLimit.MaxMiB * MIB)
    .multipleOf(2 * MIB),
  /** of the layout table: equal identities, equal tables */
  layout: z.string().regex(/^[0-9a-f]{16}$/),
  cpu: z.strictObject({
    model: z.enum(["portable", "host"]),
    tscKhz: u32.min(1),
    /** leaf, subleaf, EAX, EBX, ECX, EDX */
    cpuid: z.array(z.tuple([u32, u32, u32, u32, u32, u32])).max(512),
  }),
  /** CPUs of the host that might run it; left out: all, or an older build did not say */
  affinity: z
    .array(
      z
        .int()
        .min(0)
        .max(HostLimit.Cpus - 1),
    )
    .min(1)
    .max(HostLimit.Cpus)
    .optional(),
});
export type SnapshotHeader = z.infer<typeof headerSchema>;

export const vcpuSchema = z.record(identifier, u64);

export const entrySchema = z.strictObject({
  inject: u64,
  injectLength: z.int().min(0).max(15),
  halted: z.boolean(),
  events: u32,
  clockNs: u64,
});

const field = z.strictObject({
  name: identifier,
  offset: u32,
  type: z.enum(["u8", "i8", "bool", "u16", "i16", "u32", "i32", "usize", "u64", "i64"]),
  count: z.int().min(1).max(0xffff),
  /** where an older table does not have it, it starts with 0 */
  zero: z.literal(true).optional(),
});
const record = z.strictObject({
  record: identifier,
  class: identifier,
  address: u32,
  bytes: z.int().min(1).max(0xffff),
  fields: z.array(field).max(512),
});

/** build/layout.json; scripts/lib/layout.mjs makes it. */
export const layoutSchema = z.strictObject({
  identity: z.string().regex(/^[0-9a-f]{16}$/),
  region: z.strictObject({ start: u32, end: u32 }),
  records: z.array(record).min(1).max(512),
});
export type Layout = z.infer<typeof layoutSchema>;
export type LayoutField = z.infer<typeof field>;

export const consoleSchema = z.tuple([z.base64(), z.base64()]);

/** Registers as the Vcpu section names them, in the order of Register. */
export const registerNames: readonly string[] = Array.from({ length: Register.Count }, (_, index) => registerName(index));
