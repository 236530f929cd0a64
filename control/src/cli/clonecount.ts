// How many clones: --count of `clone` and `run --from`.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { MAX_CLONES } from "../api/clones.js";

export function parseCloneCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_CLONES) return count;
  throw new InvalidArgumentError(`Give a number from 1 to ${MAX_CLONES}.`);
}
