// Writes a snapshot: header, the state's sections, RAM block by block as it is read, the end. RAM is compressed and written while the
// next blocks come; what waits is bounded, so that a guest whose RAM is copied faster than the disk takes it can go on soon.
// store.ts gives it a file that gets its name when all is there.
import { hex } from "../hex.js";
import { type Digest, digestOf, startDigest } from "../hypervisor/digest.js";
import type { SavedState } from "../hypervisor/saved.js";
import { compressBlock, packBlock } from "./block.js";
import {
  BLOCK_BYTES,
  Compression,
  END_BYTES,
  FORMAT_VERSION,
  HEADER,
  type Layout,
  MAGIC,
  registerNames,
  SECTION,
  SectionType,
  type SnapshotHeader,
} from "./format.js";

/** Where the bytes go, one part after the other. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** Bytes of RAM that are copied and not written. */
const MAX_WAITING = 256 * 2 ** 20;
/** Blocks in zlib's threads: the daemon's files need these threads too. */
const LANES = 3;

export class SnapshotWriter {
  readonly #sink: Sink;
  readonly #whole: Digest;
  #bytes = 0;
  /** what is in line before the file */
  #writing: Promise<void> = Promise.resolve();
  #failure: unknown;
  #waiting = 0;
  #wake: () => void = () => {};
  readonly #lanes: Promise<unknown>[] = [];

  private constructor(sink: Sink, whole: Digest) {
    this.#sink = sink;
    this.#whole = whole;
  }

  static async begin(sink: Sink, header: SnapshotHeader): Promise<SnapshotWriter> {
    const writer = new SnapshotWriter(sink, await startDigest());
    const json = Buffer.from(JSON.stringify(header));
    const head = Buffer.alloc(HEADER.json);
    MAGIC.copy(head);
    head.writeUInt32LE(FORMAT_VERSION, HEADER.version);
    head.writeUInt32LE(json.length, HEADER.jsonBytes);
    head.writeBigUInt64LE(await digestOf(head.subarray(0, HEADER.digest), json), HEADER.digest);
    await writer.#put(Buffer.concat([head, json]));
    return writer;
  }

  /** All but the RAM. */
  async state(state: SavedState, layout: Layout): Promise<void> {
    const { inject, injectLength, halted, events, clockNs } = state;
    const registers = Object.fromEntries(registerNames.map((name, index) => [name, hex(state.registers[index] ?? 0n)]));
    await this.#json(SectionType.Vcpu, registers);
    await this.#json(SectionType.Entry, { inject: hex(inject), injectLength, halted, events, clockNs: hex(clockNs) });
    await this.#json(SectionType.Layout, layout);
    await this.#section(SectionType.Region, 0, state.region);
    await this.#section(SectionType.Fpu, 0, state.fpu);
    await this.#json(
      SectionType.Console,
      state.consoleInput.map((bytes) => Buffer.from(bytes).toString("base64")),
    );
  }

  /** The next block of RAM, copied before this returns. Resolves when there is room for another one. */
  async ram(address: number, ram: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const block = packBlock(ram);
    if (!block) return;
    this.#waiting += block.length;
    const lane = this.#lanes.length < LANES ? Promise.resolve() : this.#lanes.shift();
    const packed = (lane ?? Promise.resolve()).then(() => compressBlock(block));
    this.#lanes.push(packed.catch(() => {}));
    const written = this.#writing.then(async () => {
      const { stored, compression } = await packed;
      await this.#section(SectionType.Ram, address, stored, compression, block.length);
      this.#waiting -= block.length;
      this.#wake();
    });
    written.catch((error: unknown) => {
      this.#failure ??= error;
      this.#wake();
    });
    this.#writing = written;
    while (this.#waiting > MAX_WAITING - BLOCK_BYTES && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Bytes of the file, when all is written. */
  async end(): Promise<number> {
    await this.#writing;
    const payload = Buffer.alloc(END_BYTES);
    payload.writeBigUInt64LE(BigInt(this.#bytes), 0);
    payload.writeBigUInt64LE(this.#whole.digest(), 8);
    await this.#section(SectionType.End, 0, payload);
    return this.#bytes;
  }

  #json(type: SectionType, value: unknown): Promise<void> {
    return this.#section(type, 0, Buffer.from(JSON.stringify(value)));
  }

  async #section(
    type: SectionType,
    address: number,
    stored: Uint8Array,
    compression = Compression.Stored,
    bytes = stored.length,
  ): Promise<void> {
    const head = Buffer.alloc(SECTION.stored);
    head.writeUInt32LE(type, SECTION.type);
    head.writeUInt32LE(compression, SECTION.compression);
    head.writeBigUInt64LE(BigInt(address), SECTION.address);
    head.writeUInt32LE(stored.length, SECTION.storedBytes);
    head.writeUInt32LE(bytes, SECTION.bytes);
    head.writeBigUInt64LE(await digestOf(head.subarray(0, SECTION.digest), stored), SECTION.digest);
    await this.#put(head);
    await this.#put(stored);
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#whole.update(bytes);
    this.#bytes += bytes.length;
    await this.#sink(bytes);
  }
}
