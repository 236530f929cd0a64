// Physical memory as hv/asm keeps it: a state and an owner for every frame, contents where somebody wrote. Refuses what hv/asm refuses.
import { FrameState } from "./facts.js";

export const FRAME = 4096;
export const BLOCK_FRAMES = 512;
export const BLOCK = FRAME * BLOCK_FRAMES;

export class Physical {
  readonly state: Uint8Array;
  readonly owner: Int16Array;
  readonly #contents = new Map<number, Uint8Array>();
  scrubbed = 0;

  /** Frames below `hostFrames` are the hypervisor's, those of `holes` are absent; the rest is free and unknown. */
  constructor(frames: number, { hostFrames = 300, holes = [] as [from: number, to: number][] } = {}) {
    this.state = new Uint8Array(frames).fill(FrameState.Dirty);
    this.owner = new Int16Array(frames).fill(-1);
    this.state.fill(FrameState.Host, 0, hostFrames);
    for (const [from, to] of holes) this.state.fill(FrameState.Absent, from, to);
  }

  word(frame: number): bigint {
    const state = this.state[frame] ?? FrameState.Absent;
    return state === FrameState.Owned ? (1n << 32n) | BigInt(this.owner[frame] << 8) | BigInt(state) : BigInt(state);
  }

  blockCount(block: number, state: number): number {
    return this.count(state, block * BLOCK_FRAMES, (block + 1) * BLOCK_FRAMES);
  }

  count(state: number, from = 0, to = this.state.length): number {
    let count = 0;
    for (const each of this.state.subarray(from, to)) if (each === state) count++;
    return count;
  }

  scrub(frame: number, count: number): boolean {
    if (count < 1 || count > 512 || this.count(FrameState.Dirty, frame, frame + count) !== count) return false;
    for (let each = frame; each < frame + count; each++) {
      this.state[each] = FrameState.Clean;
      this.#contents.delete(each);
    }
    this.scrubbed += count;
    return true;
  }

  claim(frame: number, count: number, slot: number): boolean {
    if (this.count(FrameState.Clean, frame, frame + count) !== count) return false;
    this.state.fill(FrameState.Owned, frame, frame + count);
    this.owner.fill(slot, frame, frame + count);
    return true;
  }

  release(frame: number, count: number): void {
    this.state.fill(FrameState.Dirty, frame, frame + count);
    this.owner.fill(-1, frame, frame + count);
  }

  /** All that is written must be zero again before it is clean. */
  content(frame: number): Uint8Array {
    const bytes = this.#contents.get(frame) ?? new Uint8Array(FRAME);
    this.#contents.set(frame, bytes);
    return bytes;
  }

  peek(frame: number): Uint8Array | undefined {
    return this.#contents.get(frame);
  }
}
