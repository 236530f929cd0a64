// Which of the names that there are was meant by one that there is not: for "Did you mean ...?".

/** The one that takes the fewest slips of the finger, if these are few for its length. */
export function nearest(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.min(3, Math.ceil(word.length * 0.4)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= least) continue;
    const slips = distance(word.toLowerCase(), name.toLowerCase());
    if (slips < least) [best, least] = [name, slips];
  }
  return best;
}

/** "Did you mean 'web'? " before the hint, or nothing. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const meant = nearest(word, names);
  return meant === undefined ? "" : `Did you mean '${meant}'? `;
}

/** Characters inserted, left out, exchanged, or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const now = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let slips = Math.min((last[column] ?? 0) + 1, (now[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) slips = Math.min(slips, (before[column - 2] ?? 0) + 1);
      now.push(slips);
    }
    before = last;
    last = now;
  }
  return last[b.length] ?? 0;
}
