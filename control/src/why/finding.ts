// What a diagnosis says: one sentence, how sure it is, what it rests on, what to do.
import type { Evidence } from "./evidence.js";

export type Certainty = "certain" | "likely" | "possible";

export interface Finding {
  /** stable, for scripts */
  code: string;
  certainty: Certainty;
  /** one sentence */
  text: string;
  /** what was seen, a line each */
  evidence: string[];
  /** what to do, or null */
  hint: string | null;
}

export type Rule = (evidence: Evidence) => Finding[];

const ORDER: Record<Certainty, number> = { certain: 0, likely: 1, possible: 2 };

/** The surest first; of the same certainty in the order in which the rules stand. */
export const ranked = (findings: readonly Finding[]): Finding[] =>
  findings.toSorted((one, other) => ORDER[one.certainty] - ORDER[other.certainty]);
