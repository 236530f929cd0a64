// A guest's RAM, out of the hypervisor and into a snapshot: piece by piece, while the guest stands still.
import type { HypervisorClient } from "../hypervisor/hypervisor.js";
import { BLOCK_BYTES } from "./format.js";
import type { Progress } from "./reader.js";
import type { SnapshotWriter } from "./writer.js";

/** What is copied at once: the store disk takes no more, and the daemon does something else in between. */
const PIECE_BYTES = 4 * BLOCK_BYTES;

/** Resolves when all of it is copied, and much of it written. */
export async function captureRam(
  hypervisor: HypervisorClient,
  guest: number,
  memoryBytes: number,
  writer: SnapshotWriter,
  progress: Progress = () => {},
): Promise<void> {
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; at < memoryBytes; at += PIECE_BYTES) {
    const size = Math.min(PIECE_BYTES, memoryBytes - at);
    await hypervisor.guestGet(guest, at, size, piece.subarray(0, size));
    for (let from = 0; from < size; from += BLOCK_BYTES) await writer.ram(at + from, piece.subarray(from, from + BLOCK_BYTES));
    progress(at + size, memoryBytes);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
