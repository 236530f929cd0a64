// A Linux that panicked, by its own log.
import type { Rule } from "./finding.js";

/** entries of the call trace that are shown */
const SHOWN = 6;

export const panicked: Rule = ({ panic, guest }) => {
  if (!panic) return [];
  const evidence = [...(panic.cause === null ? [] : [panic.cause]), ...panic.trace.slice(0, SHOWN).map((entry) => `at ${entry}`)];
  const hint = `\`hvkit dmesg\` shows all that the kernel of '${guest}' wrote.`;
  return [{ code: "kernel-panic", certainty: "certain", text: `Linux panicked: ${panic.reason}`, evidence, hint }];
};
