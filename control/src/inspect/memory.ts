// Memory as the guest's code sees it: bytes at linear addresses, page by page through its own tables (walk.ts).

import { HvkitError } from "../errors.js";
import { hex } from "../hex.js";
import { type PagingRegisters, type PhysicalMemory, type Walk, walkPages } from "./walk.js";

/** What is read of a table at once: its neighbours are likely to be asked for next. */
const LINE = 64;

/** The same memory for the duration of one command: what is read of it in small pieces (tables) is read once. */
export function cached(memory: PhysicalMemory): PhysicalMemory {
  const lines = new Map<number, Promise<Uint8Array>>();
  return {
    bytes: memory.bytes,
    read: async (address, length) => {
      const start = address - (address % LINE);
      if (address + length > start + LINE) return memory.read(address, length);
      const line = lines.get(start) ?? memory.read(start, LINE);
      lines.set(start, line);
      return (await line).subarray(address - start, address - start + length);
    },
  };
}

/** most bytes of a piece */
const PIECE = 0x10_0000;

/** Bytes from a linear address on, in pieces that lie in one page each. Throws E_UNMAPPED at the first page that is not there. */
export async function* linearPieces(
  memory: PhysicalMemory,
  paging: PagingRegisters,
  linear: bigint,
  length: number,
): AsyncGenerator<{ at: bigint; bytes: Uint8Array }> {
  for (let done = 0; done < length; ) {
    const at = BigInt.asUintN(64, linear + BigInt(done));
    const walk = await walkPages(memory, paging, at);
    const { physical, pageBytes } = walk;
    if (physical === undefined || pageBytes === undefined) throw unmapped(walk);
    const size = Math.min(length - done, pageBytes - (physical % pageBytes), PIECE);
    const there = Math.min(size, memory.bytes - physical);
    if (there <= 0) throw outside(at, physical, memory.bytes);
    yield { at, bytes: await memory.read(physical, there) };
    done += there;
  }
}

export async function readLinear(memory: PhysicalMemory, paging: PagingRegisters, linear: bigint, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of linearPieces(memory, paging, linear, length)) parts.push(bytes);
  return Buffer.concat(parts);
}

/** As readLinear, up to the first page that is not there; `unmapped` says why it ends. Throws only when there is not one byte. */
export async function readMapped(
  memory: PhysicalMemory,
  paging: PagingRegisters,
  linear: bigint,
  length: number,
): Promise<{ bytes: Uint8Array; unmapped: HvkitError | undefined }> {
  const parts: Uint8Array[] = [];
  try {
    for await (const { bytes } of linearPieces(memory, paging, linear, length)) parts.push(bytes);
  } catch (error) {
    if (!(error instanceof HvkitError) || error.code !== "E_UNMAPPED" || parts.length === 0) throw error;
    return { bytes: Buffer.concat(parts), unmapped: error };
  }
  return { bytes: Buffer.concat(parts), unmapped: undefined };
}

/** Why there is nothing at a linear address. */
export function faultText({ fault, mode }: Pick<Walk, "fault" | "mode">): string {
  if (!fault) return "";
  const where = fault.level === null ? "" : `the ${fault.level} entry at guest-physical ${hex(fault.address ?? 0)}`;
  switch (fault.kind) {
    case "address":
      return mode === "4-level" ? "it is not canonical: bits 63 to 47 differ" : "it lies beyond 4 GiB, and the guest is not in 64-bit mode";
    case "not-present":
      return `${where} is not present`;
    case "reserved-bits":
      return `${where} has reserved bits set`;
    case "outside-ram":
      return `${where} lies outside the guest's RAM`;
  }
}

export function unmapped(walk: Walk): HvkitError {
  return new HvkitError("E_UNMAPPED", `linear address ${hex(walk.linear)} is not mapped in the guest: ${faultText(walk)}`, {
    hint: `\`hvkit walk GUEST ${hex(walk.linear)}\` shows the way; --physical takes guest-physical addresses.`,
    data: { linear: hex(walk.linear), fault: walk.fault },
  });
}

function outside(linear: bigint, physical: number, memoryBytes: number): HvkitError {
  return new HvkitError("E_UNMAPPED", `linear address ${hex(linear)} is guest-physical ${hex(physical)}, outside the guest's RAM`, {
    hint: `The guest has RAM from 0x0 to ${hex(memoryBytes - 1)}.`,
    data: { linear: hex(linear), physical: hex(physical), memoryBytes },
  });
}
