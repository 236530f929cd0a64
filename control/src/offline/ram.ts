// A snapshot's RAM, read where it is asked for: a block is inflated when something in it is wanted, a few are kept. What is stored goes into
// pages of its own in this process's memory: the file is never written. The tools read it, and a machine in Node (module.ts), which cannot
// wait for a file.
import { type Digest, loadDigest } from "../hypervisor/digest.js";
import type { PhysicalMemory } from "../inspect/walk.js";
import { inflateBlockSync, unpackBlock } from "../snapshot/block.js";
import { damaged } from "../snapshot/errors.js";
import { BLOCK_BYTES, Compression, PAGE_BYTES, SECTION } from "../snapshot/format.js";
import type { SectionHead, Snapshot, Source } from "../snapshot/reader.js";

/** blocks that are kept inflated */
const KEPT = 48;
const ZEROS = new Uint8Array(BLOCK_BYTES);

export class SavedRam implements PhysicalMemory {
  readonly #sections: Map<number, SectionHead>;
  /** by their place, the one that was used last at the end */
  readonly #blocks = new Map<number, Uint8Array>();
  readonly #written = new Map<number, Uint8Array>();

  private constructor(
    readonly bytes: number,
    ram: readonly SectionHead[],
    private readonly source: Source,
    private readonly startDigest: () => Digest,
  ) {
    this.#sections = new Map(ram.map((section) => [section.address, section]));
  }

  /** @param source stays open as long as this is used */
  static async of(source: Source, { header, ram }: Snapshot): Promise<SavedRam> {
    return new SavedRam(header.memoryBytes, ram, source, await loadDigest());
  }

  /** Whether the range is RAM. */
  has(address: number, length: number): boolean {
    return address >= 0 && length <= this.bytes && address <= this.bytes - length;
  }

  async read(address: number, length: number): Promise<Uint8Array> {
    return this.load(address, length);
  }

  /** A copy; of a range that has() takes. */
  load(address: number, length: number): Uint8Array {
    const found = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + done;
      const page = this.#written.get(at - (at % PAGE_BYTES));
      const [bytes, offset] = page ? [page, at % PAGE_BYTES] : [this.#block(at - (at % BLOCK_BYTES)), at % BLOCK_BYTES];
      // To the page's end: the next one may have been written.
      const size = Math.min(length - done, PAGE_BYTES - (at % PAGE_BYTES));
      found.set(bytes.subarray(offset, offset + size), done);
      done += size;
    }
    return found;
  }

  /** Into this process's memory; of a range that has() takes. */
  store(address: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const start = at - (at % PAGE_BYTES);
      const page = this.#written.get(start) ?? this.load(start, PAGE_BYTES);
      this.#written.set(start, page);
      const part = bytes.subarray(done, done + PAGE_BYTES - (at - start));
      page.set(part, at - start);
      done += part.length;
    }
  }

  /** As the file has it. */
  revert(): void {
    this.#written.clear();
  }

  #block(address: number): Uint8Array {
    const section = this.#sections.get(address);
    if (!section) return ZEROS;
    const block = this.#blocks.get(address) ?? this.#inflate(section);
    this.#blocks.delete(address);
    this.#blocks.set(address, block);
    const [oldest] = this.#blocks.keys();
    if (this.#blocks.size > KEPT && oldest !== undefined) this.#blocks.delete(oldest);
    return block;
  }

  /** The whole file was checked when it was opened, and may have changed since. */
  #inflate({ address, compression, bytes, storedBytes, at, head }: SectionHead): Uint8Array {
    const stored = Buffer.allocUnsafe(storedBytes);
    this.source.readSync(at + SECTION.stored, stored);
    const digest = this.startDigest();
    digest.update(head.subarray(0, SECTION.digest));
    digest.update(stored);
    if (digest.digest() !== head.readBigUInt64LE(SECTION.digest)) throw damaged("the digest of section Ram is wrong", at);
    const packed = compression === Compression.Deflate ? inflateBlockSync(stored, bytes) : stored;
    const runs = packed && unpackBlock(packed);
    if (!runs) throw damaged(`the block of RAM at 0x${address.toString(16)} is not one`, at);
    const block = new Uint8Array(BLOCK_BYTES);
    for (const run of runs) block.set(run.bytes, run.offset);
    return block;
  }
}
