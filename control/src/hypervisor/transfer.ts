// Bulk bytes into and out of guest RAM, by the best way that the engine has: its memory window (QEMU), its store disk (Bochs),
// else the line's bulk channel. What goes in is verified end to end by digest. Used by client.
import { BulkWords, GuestLimit, GuestWriteArgs, Status } from "../../../protocol/messages.js";
import type { Store } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import type { MemoryWindow } from "../native/window.js";
import { roomBeside } from "./codec.js";
import { digestOf } from "./digest.js";
import type { RamRun } from "./hypervisor.js";
import { statusError } from "./texts.js";

/** The operations that transfer needs. */
export interface TransferCalls {
  guestWrite(guest: number, address: number, bytes: Uint8Array): Promise<void>;
  /** as guestWrite, on the bulk channel: resolves when the hypervisor has it, whatever it made of it */
  guestBulk(guest: number, address: number, bytes: Uint8Array): Promise<void>;
  guestRead(guest: number, address: number, length: number): Promise<Uint8Array>;
  guestLoad(guest: number, address: number, sector: number, bytes: number): Promise<void>;
  guestSave(guest: number, address: number, sector: number, bytes: number): Promise<void>;
  guestDigest(guest: number, address: number, length: number): Promise<bigint>;
  guestFrames(guest: number, address: number, length: number): Promise<readonly RamRun[]>;
}

const WRITE_BYTES = roomBeside(GuestWriteArgs.Words);
const BULK_BYTES = roomBeside(BulkWords.Words);
/** Below this the line is quicker than a round over the store disk, and spares its sectors. */
const STORE_MIN_BYTES = 8192;
/** What is copied, loaded or digested at once: short enough for a progress bar, and for the hypervisor's other guests. */
const PIECE_BYTES = 4 << 20;
/** On the line the same, in its measure: at 115,200 baud a second and a half. */
const INLINE_PIECE_BYTES = 1 << 14;

/** Bytes from `at` on are in the guest's RAM; `verified`: as they should be. */
type Arrived = (at: number, size: number, verified?: boolean) => void;

export class Transfer {
  readonly #calls: TransferCalls;
  readonly #window: MemoryWindow | undefined;
  readonly #store: Store | undefined;
  readonly #runs = new Map<number, readonly RamRun[]>();
  /** guests that share RAM with a copy: their frames move, and what lies in one may be another's too */
  readonly #sharing = new Set<number>();
  #storeTurn: Promise<unknown> = Promise.resolve();

  constructor(calls: TransferCalls, window: MemoryWindow | undefined, store: Store | undefined) {
    this.#calls = calls;
    this.#window = window;
    this.#store = store;
  }

  /** Where a new guest's RAM lies, as the hypervisor said. */
  created(guest: number, runs: readonly RamRun[]): void {
    this.#runs.set(guest, runs);
  }

  /** The guest's frames may become another's: its runs must not be used any more. */
  destroyed(guest: number): void {
    this.#runs.delete(guest);
    this.#sharing.delete(guest);
  }

  /** It has a copy, or is one: from now on nothing is written by the window, and each read asks where. The function that it gives takes that
   *  back, when there is no copy after all. */
  shared(guest: number): () => void {
    const runs = this.#runs.get(guest);
    this.#runs.delete(guest);
    this.#sharing.add(guest);
    return () => {
      if (!runs) return;
      this.#runs.set(guest, runs);
      this.#sharing.delete(guest);
    };
  }

  /** What has arrived is verified while the rest is on its way. */
  async put(guest: number, address: number, bytes: Uint8Array, onProgress?: (done: number) => void): Promise<void> {
    const checks: Promise<void>[] = [];
    const arrived: Arrived = (at, size, verified = false) => {
      const check = verified ? Promise.resolve() : this.#verify(guest, address + at, bytes.subarray(at, at + size));
      // Its failure is taken up at the end; until then nobody waits for it.
      check.catch(() => undefined);
      checks.push(check);
      onProgress?.(at + size);
    };
    if (this.#window && this.#runs.has(guest)) await this.#putByWindow(this.#window, guest, address, bytes, arrived);
    else if (this.#store && this.#store.sectors > 1 && bytes.length >= STORE_MIN_BYTES) {
      await this.#putByStore(this.#store, guest, address, bytes, arrived);
    } else await this.#putInline(guest, address, bytes, arrived);
    await Promise.all(checks);
  }

  /** As put, but what this side copies itself, by the window, is not digested there. */
  async fill(guest: number, address: number, bytes: Uint8Array): Promise<void> {
    if (this.#window && this.#runs.has(guest)) await this.#putByWindow(this.#window, guest, address, bytes, () => {});
    else await this.put(guest, address, bytes);
  }

  async get(guest: number, address: number, length: number, into: Uint8Array = new Uint8Array(length)): Promise<Uint8Array> {
    const runs = this.#window && this.#sharing.has(guest) ? await this.#calls.guestFrames(guest, address, length) : this.#runs.get(guest);
    if (this.#window && runs) {
      for (const { physical, offset, bytes } of locate(runs, address, length)) {
        this.#window.read(physical, bytes, into.subarray(offset, offset + bytes));
      }
    } else if (this.#store && this.#store.sectors > 1 && length >= STORE_MIN_BYTES) {
      await this.#getByStore(this.#store, guest, address, into);
    } else await this.#getInline(guest, address, into);
    return into;
  }

  async #verify(guest: number, address: number, bytes: Uint8Array): Promise<void> {
    const [found, expected] = await this.#digests(guest, address, bytes);
    if (found === expected) return;
    // What goes inline has no answer of its own: it is written, or there were no frames for pages that are not shared.
    if (this.#sharing.has(guest)) throw statusError("GuestWrite", Status.NoMemory, [BigInt(bytes.length), 0n]);
    throw wrongDigest(guest, address, bytes.length, expected, found);
  }

  /** What is there, and what should be. The hypervisor digests while this side does. */
  #digests(guest: number, address: number, bytes: Uint8Array): Promise<[bigint, bigint]> {
    return Promise.all([this.#calls.guestDigest(guest, address, bytes.length), digestOf(bytes)]);
  }

  async #putByWindow(window: MemoryWindow, guest: number, address: number, bytes: Uint8Array, arrived: Arrived): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const runs = this.#runs.get(guest);
      if (!runs && this.#sharing.has(guest)) {
        // It was copied meanwhile.
        await this.#putInline(guest, address + at, bytes.subarray(at), (from, size, there) => arrived(at + from, size, there));
        return;
      }
      if (!runs) throw statusError("GuestWrite", Status.NoSuchGuest, []);
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      for (const part of locate(runs, address + at, piece.length)) {
        window.write(part.physical, piece.subarray(part.offset, part.offset + part.bytes));
      }
      arrived(at, piece.length);
      // A long copy does not hold up everything else.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** The store's two halves in turn: one is written while the hypervisor reads the other. */
  async #putByStore(store: Store, guest: number, address: number, bytes: Uint8Array, arrived: Arrived): Promise<void> {
    await this.#withStore(async () => {
      const half = Math.floor(store.sectors / 2);
      const pieceBytes = Math.min(PIECE_BYTES, Math.max(half, 1) * GuestLimit.SectorBytes);
      const sectorOf = (at: number): number => ((at / pieceBytes) % 2) * half;
      let next = store.write(0, bytes.subarray(0, pieceBytes));
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        await next;
        const size = Math.min(pieceBytes, bytes.length - at);
        const after = at + size;
        next = after < bytes.length ? store.write(sectorOf(after), bytes.subarray(after, after + pieceBytes)) : Promise.resolve();
        next.catch(() => undefined);
        await this.#calls.guestLoad(guest, address + at, sectorOf(at), size);
        arrived(at, size);
      }
    });
  }

  /** What is there already does not crawl a second time: a transfer that broke off goes on where it was. The next piece is looked at while
   *  one is on its way. */
  async #putInline(guest: number, address: number, bytes: Uint8Array, arrived: Arrived): Promise<void> {
    if (bytes.length <= WRITE_BYTES) {
      await this.#calls.guestWrite(guest, address, bytes);
      arrived(0, bytes.length);
      return;
    }
    const pieceAt = (at: number): Uint8Array => bytes.subarray(at, at + INLINE_PIECE_BYTES);
    const look = async (at: number): Promise<boolean> => {
      // Of a single piece nothing is to be saved.
      if (bytes.length <= INLINE_PIECE_BYTES || at >= bytes.length) return false;
      const [found, expected] = await this.#digests(guest, address + at, pieceAt(at));
      return found === expected;
    };
    let next = look(0);
    for (let at = 0; at < bytes.length; at += INLINE_PIECE_BYTES) {
      const piece = pieceAt(at);
      const there = await next;
      next = look(at + INLINE_PIECE_BYTES);
      next.catch(() => undefined);
      if (!there) {
        await inPieces(piece.length, BULK_BYTES, (from, size) =>
          this.#calls.guestBulk(guest, address + at + from, piece.subarray(from, from + size)),
        );
      }
      arrived(at, piece.length, there);
    }
  }

  async #getByStore(store: Store, guest: number, address: number, into: Uint8Array): Promise<void> {
    await this.#withStore(async () => {
      const pieceBytes = storePieceBytes(store);
      for (let at = 0; at < into.length; at += pieceBytes) {
        const size = Math.min(pieceBytes, into.length - at);
        await this.#calls.guestSave(guest, address + at, 0, size);
        into.set(await store.read(0, size), at);
      }
    });
  }

  async #getInline(guest: number, address: number, into: Uint8Array): Promise<void> {
    await inPieces(into.length, GuestLimit.ReadBytes, async (at, size) => {
      into.set(await this.#calls.guestRead(guest, address + at, size), at);
    });
  }

  /** The store disk has one user at a time. */
  #withStore<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#storeTurn.then(work);
    this.#storeTurn = turn.catch(() => undefined);
    return turn;
  }
}

/** The host-physical parts of a range of guest RAM, in order. Throws E_HV_BAD_ADDRESS when the runs do not cover it. */
export function locate(runs: readonly RamRun[], address: number, length: number): { physical: number; offset: number; bytes: number }[] {
  const parts: { physical: number; offset: number; bytes: number }[] = [];
  for (let offset = 0; offset < length; ) {
    const at = address + offset;
    const run = runs.find((r) => at >= r.guestPhysical && at < r.guestPhysical + r.bytes);
    if (!run) throw statusError("GuestWrite", Status.BadAddress, [BigInt(address), BigInt(length)]);
    const bytes = Math.min(length - offset, run.guestPhysical + run.bytes - at);
    parts.push({ physical: run.hostPhysical + (at - run.guestPhysical), offset, bytes });
    offset += bytes;
  }
  return parts;
}

const storePieceBytes = (store: Store): number => Math.min(PIECE_BYTES, store.sectors * GuestLimit.SectorBytes);

/** Several pieces in flight; the requests' own limit keeps their number in bounds. The first failure is the outcome. */
async function inPieces(length: number, pieceBytes: number, work: (at: number, size: number) => Promise<void>): Promise<void> {
  const lanes = 16;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < length) {
      const at = next;
      next += pieceBytes;
      await work(at, Math.min(pieceBytes, length - at));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function wrongDigest(guest: number, address: number, bytes: number, expected: bigint, found: bigint): HvkitError {
  const hex = (value: bigint): string => value.toString(16).padStart(16, "0");
  return new HvkitError(
    "E_DIGEST",
    `The ${bytes} bytes put into guest ${guest} did not arrive as they were: digest ${hex(found)}, expected ${hex(expected)}.`,
    {
      hint: "Try again; if it comes back, this is a bug in hvkit or in the engine.",
      data: { guest, address, bytes, expected: hex(expected), found: hex(found) },
    },
  );
}
