// hvkit why: why a guest hangs, or how it ended, with what that rests on.
import { Command } from "@commander-js/extra-typings";
import { collectEvidence } from "../../client/collect.js";
import { HvkitError } from "../../errors.js";
import type { MachineView } from "../../inspect/view.js";
import { printable, readDmesg } from "../../linux/dmesg.js";
import { type KernelPanic, kernelPanic } from "../../linux/kernelpanic.js";
import { diagnose } from "../../why/diagnose.js";
import type { Finding } from "../../why/finding.js";
import { collectSaved } from "../../why/saved.js";
import { print, printJson, style } from "../output.js";
import { SUBJECT, withSubject } from "../subject.js";
import { search } from "./dmesg.js";

export const why = () =>
  new Command("why")
    .description("say why a guest hangs, or how it ended, with the evidence")
    .argument("<guest-or-snapshot>", SUBJECT)
    .option("--json", "print {guest, state, findings: [{code, certainty, text, evidence, hint}]}, the surest first")
    .addHelpText(
      "after",
      `
Examples:
  hvkit why web
  hvkit why ./web.hvsnap

The guest is looked at for a third of a second, and not changed; of a snapshot there is one moment to look at, and a Linux' log. docs/why.md lists the findings.`,
    )
    .action(async (guest, { json }) => {
      await withSubject(guest, async ({ view, id, live }) => {
        const evidence = await (live ? collectEvidence(live.client, id) : collectSaved(view, await panicOf(view)));
        const findings = diagnose(evidence);
        if (json) printJson({ guest: evidence.guest, state: evidence.state, findings });
        else print(showFindings(findings));
      });
    });

/** What the log of a Linux says of a panic. */
async function panicOf(view: MachineView): Promise<KernelPanic | undefined> {
  try {
    const { records } = await search((onProgress) => readDmesg(view, onProgress));
    return kernelPanic(records.map(({ text }) => printable(text)).join("\n"));
  } catch (error) {
    if (error instanceof HvkitError && ["E_NOT_LINUX", "E_LOG"].includes(error.code)) return undefined;
    throw error;
  }
}

/** The sentence, its evidence below it, what to do; further findings after an empty line. */
export function showFindings(findings: readonly Finding[]): string {
  return findings
    .map(({ certainty, text, evidence, hint }) => {
      const sure = certainty === "certain" ? text : `${text} (${certainty})`;
      return [
        style(sure, "bold"),
        ...evidence.map((line) => `  - ${line}`),
        ...(hint === null ? [] : [`  ${style("→", "green")} ${hint}`]),
      ].join("\n");
    })
    .join("\n\n");
}
