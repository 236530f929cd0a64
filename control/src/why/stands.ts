// A guest that stands because somebody said so, or because it has no CPU.
import type { Rule } from "./finding.js";
import { milliseconds } from "./text.js";

export const stands: Rule = ({ state, guest, debugged }) => {
  const said = { certainty: "certain" as const, evidence: [] };
  if (state === "paused" && debugged) {
    return [
      {
        ...said,
        code: "debugged",
        text: "It stands in a debugger's hands, which lets it go on.",
        hint: "`continue` or `detach` in gdb; when its `hvkit debug` ends, it goes on.",
      },
    ];
  }
  if (state === "paused") {
    return [{ ...said, code: "paused", text: "It is paused: it stands until somebody lets it go on.", hint: `hvkit unpause ${guest}` }];
  }
  if (state === "created" || state === "restarting") {
    return [{ ...said, code: "starting", text: `It is ${state}: it has not begun to run yet.`, hint: "Ask again in a moment." }];
  }
  return [];
};

/** less of its time than this in percent is hardly running */
const HARDLY = 20n;

/** It could run, and does not: other guests have the CPUs. */
export const waitsForCpu: Rule = ({ running }) => {
  if (!running) return [];
  const { activity, cpus, samples } = running;
  const waited = activity.ns - activity.runNs - activity.haltNs;
  if (samples.some(({ halted }) => halted) || activity.ns === 0n || activity.runNs * 100n > activity.ns * HARDLY || waited < activity.runNs)
    return [];
  const busy = (cpus ?? []).map(
    ({ index, loadPercent, guest }) => `CPU ${index}: ${loadPercent} % busy${guest === null ? "" : `, now with '${guest}'`}`,
  );
  return [
    {
      code: "waits-for-cpu",
      certainty: "likely",
      text: "It waits for its turn: other guests have the CPUs that it may run on.",
      evidence: [`of ${milliseconds(activity.ns)} it ran ${milliseconds(activity.runNs)} and waited ${milliseconds(waited)}`, ...busy],
      hint: "`hvkit status` shows the CPUs; `hvkit up --cpus N` boots with more, --cpu-affinity and `hvkit pause` make room.",
    },
  ];
};
