// How much a test does: little in CI, all of it at night. `npm run test:nightly` (scripts/test.mjs) sets HVKIT_NIGHTLY=1.

export const nightly = process.env.HVKIT_NIGHTLY === "1";

/** The count, or the time limit, of this run. */
export function scaled(ci: number, night: number): number {
  return nightly ? night : ci;
}

/** A random test's seed: HVKIT_SEED repeats a run that failed; each night has another one, CI always the same. */
export function seedOf(fixed: number): number {
  const given = Number(process.env.HVKIT_SEED);
  if (given) return given >>> 0;
  return nightly ? (Date.now() & 0x7fffffff) | 1 : fixed;
}

/** xorshift32: quick, and the same everywhere. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
