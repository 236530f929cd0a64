// A stopped guest's memory by linear address, through its own page tables, and by guest-physical address. What was read of tables is kept
// until the guest runs or its memory changes: a large read walks each table once.
import { HvkitError } from "../errors.js";
import { type PagingRegisters, walkPages } from "../inspect/walk.js";
import type { Target } from "./target.js";

const PAGE = 4096;
/** of a table, at once: a page of it would take half a second on Bochs' serial line */
const PIECE = 128;

/** A piece of a linear range that is one piece of RAM, too. */
interface Part {
  physical: number;
  bytes: number;
}

export class Memory {
  readonly #tables = new Map<number, Promise<Uint8Array>>();

  constructor(
    private readonly target: Target,
    private readonly paging: () => Promise<PagingRegisters>,
  ) {}

  /** The guest runs, or its memory changes. */
  forget(): void {
    this.#tables.clear();
  }

  /** Fewer bytes than were asked for, where the range leaves what is mapped; E_DEBUG_MEMORY when not even the first byte is. */
  async read(linear: bigint, length: number): Promise<Uint8Array> {
    return this.#gather(await this.#locate(linear, length), linear);
  }

  async readPhysical(address: bigint, length: number): Promise<Uint8Array> {
    return this.#gather(this.#inside(address, length), address);
  }

  /** All of it or nothing. */
  async write(linear: bigint, bytes: Uint8Array): Promise<void> {
    await this.#scatter(await this.#locate(linear, bytes.length), linear, bytes);
  }

  async writePhysical(address: bigint, bytes: Uint8Array): Promise<void> {
    await this.#scatter(this.#inside(address, bytes.length), address, bytes);
  }

  /** Undefined: not mapped, or not to RAM. */
  async physical(linear: bigint): Promise<number | undefined> {
    const tables = { bytes: this.target.memoryBytes, read: (address: number, length: number) => this.#table(address, length) };
    const { physical } = await walkPages(tables, await this.paging(), BigInt.asUintN(64, linear));
    return physical !== undefined && physical < this.target.memoryBytes ? physical : undefined;
  }

  async #locate(linear: bigint, length: number): Promise<Part[]> {
    const parts: Part[] = [];
    for (let done = 0; done < length; ) {
      const at = linear + BigInt(done);
      const bytes = Math.min(length - done, PAGE - Number(at & 0xfffn));
      const physical = await this.physical(at);
      if (physical === undefined) break;
      const last = parts.at(-1);
      if (last && last.physical + last.bytes === physical) last.bytes += bytes;
      else parts.push({ physical, bytes });
      done += bytes;
    }
    return parts;
  }

  #inside(address: bigint, length: number): Part[] {
    const left = BigInt(this.target.memoryBytes) - address;
    if (left <= 0n || length === 0) return [];
    return [{ physical: Number(address), bytes: Number(left < BigInt(length) ? left : BigInt(length)) }];
  }

  async #gather(parts: readonly Part[], address: bigint): Promise<Uint8Array> {
    if (parts.length === 0) throw unmapped(address);
    return Buffer.concat(await Promise.all(parts.map(({ physical, bytes }) => this.target.read(physical, bytes))));
  }

  async #scatter(parts: readonly Part[], address: bigint, bytes: Uint8Array): Promise<void> {
    const mapped = parts.reduce((sum, part) => sum + part.bytes, 0);
    if (mapped < bytes.length) throw unmapped(address + BigInt(mapped));
    this.forget();
    let at = 0;
    for (const part of parts) {
      await this.target.write(part.physical, bytes.subarray(at, at + part.bytes));
      at += part.bytes;
    }
  }

  async #table(address: number, length: number): Promise<Uint8Array> {
    const start = address - (address % PIECE);
    let piece = this.#tables.get(start);
    if (!piece) {
      piece = this.target.read(start, Math.min(PIECE, this.target.memoryBytes - start));
      this.#tables.set(start, piece);
    }
    return (await piece).subarray(address - start, address - start + length);
  }
}

function unmapped(address: bigint): HvkitError {
  return new HvkitError("E_DEBUG_MEMORY", `nothing is mapped at 0x${address.toString(16)}`, {
    data: { address: `0x${address.toString(16)}` },
  });
}
