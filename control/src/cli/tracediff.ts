// What `hvkit trace --diff` prints: where two recorded traces part, and what came before.
import type { TracedExit } from "../api/trace.js";
import { compareTraces, LEFT_OUT, type TraceComparison } from "../trace/diff.js";
import { readTrace, type TraceFile } from "../trace/file.js";
import { describeExit } from "../trace/text.js";
import { EXIT_FAILED, print, printJson, style } from "./output.js";

/** The exit code: 0, or 1 when they part. */
export function showDiff(pathA: string, pathB: string, json: boolean): number {
  const [a, b] = [readTrace(pathA), readTrace(pathB)];
  const comparison = compareTraces(
    a.exits,
    b.exits,
    [a, b].some(({ header }) => header.filtered),
  );
  if (json) printJson({ a: summary(a), b: summary(b), ...comparison });
  else print(showComparison(a, b, comparison));
  return comparison.difference ? EXIT_FAILED : 0;
}

const summary = ({ path, header, exits }: TraceFile) => ({ path, guest: header.guest, vendor: header.vendor, exits: exits.length });

export function showComparison(a: TraceFile, b: TraceFile, { alike, leftOut, lost, difference, before }: TraceComparison): string {
  const names = [a, b].map(
    ({ path, header, exits }, place) => `${"AB"[place]}  ${path}: ${exits.length} exits of ${header.guest} (${header.vendor})`,
  );
  const left = leftOut.a + leftOut.b;
  const notes = [
    ...(left > 0 ? [`left out: ${leftOut.a} of A and ${leftOut.b} of B (${LEFT_OUT.join(", ")})`] : []),
    ...[a, b].flatMap(({ path, header, exits: [first] }) => {
      if (header.filtered) return [`${path} has only exits that were chosen: none is known to be missing`];
      return first && first.index > 0 ? [`${path} begins with exit ${first.index}: what was before is not in it`] : [];
    }),
    ...[...(lost.a ? [a] : []), ...(lost.b ? [b] : [])].map(({ path }) => `${path} has a gap: it is compared up to there`),
  ];
  if (!difference) return [...names, ...notes, `they are alike: ${alike} exits`].join("\n");
  const shown = before.map((exit) => row(" ", exit));
  const parted = [mark(row("A", difference.a)), mark(row("B", difference.b))];
  return [
    ...names,
    ...notes,
    `they part after ${alike} exits that are alike, in: ${difference.differs.join(", ")}`,
    "",
    ...shown,
    ...parted,
  ].join("\n");
}

const mark = (text: string): string => style(text, "yellow");

function row(side: string, exit: TracedExit | null): string {
  if (!exit) return `${side}  nothing more`;
  return `${side}  ${String(exit.index).padStart(6)}  ${exit.rip.slice(2).toUpperCase().padStart(16)}  ${describeExit(exit)}`;
}
