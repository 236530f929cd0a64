// Random operations that follow what they find: sequences that reached an outcome which none before them did are kept, and the next ones
// are made from those. An operation is a number; what it means is the target's. A failure is cut down to the operations that it takes,
// and says how to run just these: HVKIT_REPLAY=0x12,0x34.
import { randomFrom } from "../scale.js";

export interface Target {
  /** everything as new */
  reset(): void;
  /** throws when something is wrong, as a trap does by itself */
  apply(operation: number): void;
  /** after the last operation of a sequence: the state comes to rest, or throws */
  settle(): void;
}

export interface Plan {
  target: Target;
  seed: number;
  /** operations in all */
  operations: number;
  /** operations of the longest sequence */
  length: number;
  /** outcomes that were new since the last call (Coverage) */
  fresh(): number;
}

/** Runs of a failing sequence that are spent on making it shorter. */
const SHRINKS = 2000;

export function fuzz({ target, seed, operations, length, fresh }: Plan): void {
  const replay = process.env.HVKIT_REPLAY;
  if (replay) {
    run(target, replay.split(",").map(Number));
    return;
  }
  const random = randomFrom(seed);
  const kept: number[][] = [];
  for (let done = 0; done < operations; ) {
    const parent = kept.length > 0 && random(4) > 0 ? kept[random(kept.length)] : undefined;
    const sequence = (parent ? mutated(parent, kept, random) : made(1 + random(length), random)).slice(0, length);
    try {
      run(target, sequence);
    } catch (error) {
      throw failure(target, sequence, seed, error as Error);
    }
    done += sequence.length;
    if (fresh() > 0) kept.push(sequence);
  }
}

function run(target: Target, sequence: readonly number[]): void {
  target.reset();
  for (const operation of sequence) target.apply(operation);
  target.settle();
}

function made(count: number, random: (below: number) => number): number[] {
  return Array.from({ length: count }, () => random(2 ** 32));
}

/** One to four changes: a bit, a number, a piece doubled, left out, or taken from another sequence; more at the end. */
function mutated(parent: readonly number[], kept: readonly number[][], random: (below: number) => number): number[] {
  const child = [...parent];
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const at = random(child.length + 1);
    const piece = 1 + random(8);
    const choice = random(7);
    if (choice === 0) child[at] = ((child[at] ?? 0) ^ (1 << random(32))) >>> 0;
    else if (choice === 1) child[at] = random(2 ** 32);
    else if (choice === 2) child.splice(at, 0, ...child.slice(at, at + piece));
    else if (choice === 3 && child.length > piece) child.splice(at, piece);
    else if (choice === 4) {
      const other = kept[random(kept.length)] ?? [];
      child.splice(at, 0, ...other.slice(random(other.length + 1)));
    } else child.push(...made(piece, random));
  }
  return child;
}

function failure(target: Target, sequence: readonly number[], seed: number, error: Error): Error {
  const shortest = shrunk(target, sequence);
  let last = error;
  try {
    run(target, shortest);
  } catch (again) {
    last = again as Error;
  }
  const replay = shortest.map((operation) => `0x${operation.toString(16)}`).join(",");
  return new Error(`${last.message}\nseed ${seed}; ${shortest.length} operations do it: HVKIT_REPLAY=${replay}`, { cause: last });
}

/** Leaves out pieces, halves first, as long as what remains still fails. */
function shrunk(target: Target, sequence: readonly number[]): number[] {
  let best = [...sequence];
  let tries = SHRINKS;
  for (let piece = best.length >> 1; piece > 0; piece >>= 1) {
    for (let at = 0; at < best.length && tries > 0; ) {
      const shorter = best.toSpliced(at, piece);
      tries--;
      if (fails(target, shorter)) best = shorter;
      else at += piece;
    }
  }
  return best;
}

function fails(target: Target, sequence: readonly number[]): boolean {
  try {
    run(target, sequence);
    return false;
  } catch {
    return true;
  }
}
