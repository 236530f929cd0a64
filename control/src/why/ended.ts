// A guest that has ended: its reason, and what stood behind it.

import { hex } from "../hex.js";
import { bitNames } from "../inspect/bits.js";
import { fateText, irqText } from "../inspect/devices/pic.js";
import { vectorName } from "../inspect/vectors.js";
import { register } from "../inspect/view.js";
import type { Standing } from "./evidence.js";
import type { FaultChain } from "./fault.js";
import type { Finding, Rule } from "./finding.js";

const ALL_IRQS = Array.from({ length: 16 }, (_, irq) => irq);

const HLT = 0xf4;
/** Ends that are no accident: nothing hangs. */
const WANTED = ["power-off", "debug-exit", "reset", "killed", "stopped"];
const HINTS: Readonly<Record<string, string>> = {
  "halted-forever": "Set IF before HLT (sti; hlt), or end the guest by a power-off.",
  "unbacked-memory":
    "Look at the instruction: a wrong pointer, or a device that this machine does not have. `hvkit run --memory` gives more RAM.",
  "out-of-memory": "Remove guests (`hvkit rm`), make fewer copies, or start the hypervisor with more memory (`hvkit up --memory`).",
  "entry-failed": "The CPU refuses the guest's state: `hvkit explain` says which check fails, and why.",
  "task-switch": "Use interrupt and trap gates, and load TR without a task switch.",
};

export const ended: Rule = ({ state, end, standing, fault }) => {
  if (state === "lost") {
    return [
      finding(
        "lost",
        "It went down with the hypervisor.",
        [end?.text ?? ""],
        "`hvkit status` says why; `hvkit reset` starts the guest again.",
      ),
    ];
  }
  if (state !== "exited" || end === null) return [];
  const evidence = [...(fault ? chainText(fault) : []), ...(standing ? standingText(standing) : [])];
  if (end.code === "halted-forever" && standing) evidence.push(...keptBack(standing));
  const hint = end.code === "triple-fault" && fault ? faultHint(fault) : (HINTS[end.code] ?? null);
  return [finding(end.code, WANTED.includes(end.code) ? `It has ended, and does not hang: ${end.text}` : end.text, evidence, hint)];
};

const finding = (code: string, text: string, evidence: string[], hint: string | null): Finding => ({
  code,
  certainty: "certain",
  text,
  evidence: evidence.filter((line) => line !== ""),
  hint,
});

/** Where it stands: RIP, the instruction, interrupts. */
export function standingText({ registers, code, unmapped, before }: Standing): string[] {
  const rip = register(registers, "rip");
  const [instruction] = code;
  const at =
    before.at(-1) === HLT
      ? `RIP ${hex(rip)}: just after a HLT`
      : instruction
        ? `RIP ${hex(rip)}: ${instruction.text}`
        : `RIP ${hex(rip)}: ${unmapped ?? "no code"}`;
  const flags = bitNames("rflags", register(registers, "rflags"));
  return [at, `RFLAGS [${flags.join(" ")}]: interrupts are ${flags.includes("IF") ? "on" : "off"}`];
}

/** Interrupts that would have come. */
function keptBack({ machine: { pics } }: Standing): string[] {
  const waiting = ALL_IRQS.filter((irq) => irq !== 2 && pics.fate(irq).kind !== "idle");
  return waiting.map((irq) => {
    const why = fateText(irq, pics.fate(irq));
    return why === undefined ? `${irqText(irq)} was waiting: only IF kept it back` : `${irqText(irq)} was waiting: ${why}`;
  });
}

function chainText({ first, gate, doubleFault, pageFault, unread }: FaultChain): string[] {
  const lines: string[] = [];
  if (first) {
    const where = first.vector === 14 && pageFault ? ` at ${hex(pageFault.address)} (CR2): ${pageFault.why}` : "";
    lines.push(`first came ${vectorName(first.vector)}${where}; ${first.because}`);
  } else lines.push("nothing tells which exception came first");
  if (unread) {
    lines.push(
      `reading ${vectorName(unread.vector)}'s gate at ${hex(unread.address)} faulted itself (CR2), although the guest's tables map it now: the CPU did not translate by them`,
    );
    const problems = [gate, doubleFault].flatMap((check) => check?.problem ?? []);
    return [...lines, ...problems.map((problem) => `what the IDT has was not reached: ${problem}`)];
  }
  if (gate)
    lines.push(
      gate.problem === null
        ? `nothing is wrong with ${vectorName(gate.vector)}'s gate at ${hex(gate.address)} now`
        : `it could not be delivered: ${gate.problem}`,
    );
  lines.push(
    doubleFault.problem === null
      ? `nothing is wrong with #DF's gate at ${hex(doubleFault.address)} now: its handler at ${hex(doubleFault.handler ?? 0)} may have faulted`
      : `the double fault neither: ${doubleFault.problem}`,
  );
  return lines;
}

function faultHint({ gate, doubleFault, unread }: FaultChain): string {
  if (unread)
    return "Unless the guest has just changed its tables or wrote CR2, it is not to blame: the engine or hvkit translated wrongly. Please report it, with `hvkit inspect` and the daemon's log.";
  const problem = gate?.problem ?? doubleFault.problem ?? "";
  if (/limit/.test(problem)) return "Load an IDT (lidt) with a gate for each exception before anything can raise one.";
  if (/has no stack/.test(problem)) return "Give #DF and #PF a stack of their own: an IST entry in the TSS.";
  if (/not present|all zeros/.test(problem)) return "Fill in the gate: `hvkit mem GUEST idtr.base -v` shows the table.";
  return "`hvkit disasm`, `hvkit walk GUEST cr2` and `hvkit cpu` show more of the last state.";
}
