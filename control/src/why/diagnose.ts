// Why a guest hangs: every rule looks at the evidence, the surest finding comes first. When none has anything to say, that is said.

import { spinning, storm } from "./busy.js";
import { ended, standingText } from "./ended.js";
import type { Evidence } from "./evidence.js";
import { type Finding, type Rule, ranked } from "./finding.js";
import { halted } from "./halted.js";
import { panicked } from "./panicked.js";
import { stands, waitsForCpu } from "./stands.js";
import { milliseconds } from "./text.js";

const RULES: readonly Rule[] = [ended, panicked, stands, halted, storm, spinning, waitsForCpu];

export function diagnose(evidence: Evidence): Finding[] {
  const findings = RULES.flatMap((rule) => rule(evidence));
  return findings.length > 0 ? ranked(findings) : [evidence.state === "saved" ? saved(evidence) : working(evidence)];
}

function working({ running }: Evidence): Finding {
  const places = new Set(running?.samples.map(({ rip }) => rip)).size;
  const activity = running?.activity;
  return {
    code: "working",
    certainty: "possible",
    text: "It is at work, as far as can be seen from outside.",
    evidence: activity
      ? [
          `of ${milliseconds(activity.ns)} it ran ${milliseconds(activity.runNs)} and was halted ${milliseconds(activity.haltNs)}, with ${activity.exits} exits`,
          `RIP was at ${places} places at ${running?.samples.length ?? 0} looks`,
        ]
      : [],
    hint: "Ask again later: the same place would say more.",
  };
}

/** One moment does not show what it does. */
function saved({ standing }: Evidence): Finding {
  return {
    code: "saved",
    certainty: "certain",
    text: "It is a snapshot: it stands where it was saved, and nothing is seen that would keep it there.",
    evidence: standing ? standingText(standing) : [],
    hint: "`hvkit restore` lets it go on; `hvkit why` of that guest sees more.",
  };
}
