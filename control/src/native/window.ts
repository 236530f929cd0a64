// The memory window: a machine's RAM, mapped from the file that the engine shares, by host-physical address. Nothing reads a view
// after its unmap: the views live in here alone, and close() forgets them first. Made by engines/qemu.
import { HvkitError } from "../errors.js";
import { type Address, mmap, munmap, view } from "./libc.js";

/** The machine's RAM as the control plane sees it (QEMU: memory-backend-file, share=on). */
export interface MemoryWindow {
  /** Copies into host-physical memory. Throws HvkitError E_ADDRESS outside of it. */
  write(physical: number, bytes: Uint8Array): void;
  /** @param into where to; by default a new array */
  read(physical: number, length: number, into?: Uint8Array): Uint8Array;
  close(): void;
}

/** Where a part of the file appears in the machine's physical memory. */
export interface WindowRun {
  physical: number;
  offset: number;
  bytes: number;
}

interface Mapping extends WindowRun {
  address: Address;
  view: Uint8Array;
}

/** One mapping covers at most this much: an ArrayBuffer has a limit (4 GiB in Node 20). */
const MAPPING_BYTES = 2 ** 30;

export class FileWindow implements MemoryWindow {
  #mappings: Mapping[] = [];

  /** The file may be closed, and unlinked, afterwards. */
  constructor(fd: number, runs: readonly WindowRun[]) {
    try {
      for (const run of runs.flatMap(split)) {
        const address = mmap(fd, run.offset, run.bytes);
        this.#mappings.push({ ...run, address, view: view(address, run.bytes) });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  write(physical: number, bytes: Uint8Array): void {
    for (const { mapping, at, from, to } of this.#parts(physical, bytes.length)) mapping.view.set(bytes.subarray(from, to), at);
  }

  read(physical: number, length: number, into?: Uint8Array): Uint8Array {
    const parts = this.#parts(physical, length);
    const result = into ?? new Uint8Array(length);
    for (const { mapping, at, from, to } of parts) result.set(mapping.view.subarray(at, at + to - from), from);
    return result;
  }

  close(): void {
    const mappings = this.#mappings;
    this.#mappings = [];
    for (const { address, bytes } of mappings) munmap(address, bytes);
  }

  /** The mappings under a range, in order: bytes from..to of the range lie at `at` of the view. All of it, or an error. */
  #parts(physical: number, length: number): { mapping: Mapping; at: number; from: number; to: number }[] {
    const parts: { mapping: Mapping; at: number; from: number; to: number }[] = [];
    if (!Number.isSafeInteger(physical) || !Number.isSafeInteger(length) || physical < 0 || length < 0) throw outside(physical, length);
    for (let from = 0; from < length; ) {
      const address = physical + from;
      const mapping = this.#mappings.find((m) => address >= m.physical && address < m.physical + m.bytes);
      if (!mapping) throw outside(physical, length);
      const at = address - mapping.physical;
      const to = from + Math.min(length - from, mapping.bytes - at);
      parts.push({ mapping, at, from, to });
      from = to;
    }
    return parts;
  }
}

function split(run: WindowRun): WindowRun[] {
  const pieces: WindowRun[] = [];
  for (let at = 0; at < run.bytes; at += MAPPING_BYTES) {
    pieces.push({ physical: run.physical + at, offset: run.offset + at, bytes: Math.min(MAPPING_BYTES, run.bytes - at) });
  }
  return pieces;
}

function outside(physical: number, length: number): HvkitError {
  return new HvkitError(
    "E_ADDRESS",
    `${length} bytes at host-physical ${physical.toString(16).toUpperCase()}h are not in the machine's memory.`,
    {
      data: { physical, length },
    },
  );
}
