// The rings of recorded exits as hv/asm keeps them: frames of the guest's in a row, records by their number.
import { TraceMode, TraceRecord, TraceRing } from "../../../protocol/trace.js";
import type { Physical } from "./physical.js";

export class Tracing {
  readonly #rings = new Map<number, number>();
  readonly #modes = new Map<number, number>();
  /** records that each slot's guest made, since its ring is there */
  readonly counts = new Map<number, number>();

  constructor(private readonly physical: Physical) {}

  modes(slot: number): number {
    return this.#modes.get(slot) ?? 0;
  }

  set(slot: number, modes: number, frame: number): boolean {
    if (modes > TraceMode.All) return false;
    if (modes & TraceMode.Ring && !this.#rings.has(slot)) {
      if (frame % TraceRing.Frames !== 0 || !this.physical.claim(frame, TraceRing.Frames, slot)) return false;
      this.#rings.set(slot, frame);
      this.counts.set(slot, 0);
    }
    if (!(modes & TraceMode.Ring)) this.free(slot);
    this.#modes.set(slot, modes);
    return true;
  }

  free(slot: number): void {
    const frame = this.#rings.get(slot);
    if (frame !== undefined) this.physical.release(frame, TraceRing.Frames);
    this.#rings.delete(slot);
    this.#modes.delete(slot);
  }

  /** A record has its number in each byte. */
  record(slot: number, index: bigint): Uint8Array | undefined {
    const count = BigInt(this.counts.get(slot) ?? 0);
    if (index >= count || count - index > TraceRing.Records) return undefined;
    return new Uint8Array(TraceRecord.End).fill(Number(index & 255n));
  }
}
