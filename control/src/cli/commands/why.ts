// hvkit why: why a guest hangs, or how it ended, with what that rests on.
import { Command } from "@commander-js/extra-typings";
import { collectEvidence } from "../../client/collect.js";
import { diagnose } from "../../why/diagnose.js";
import type { Finding } from "../../why/finding.js";
import { print, printJson, style } from "../output.js";
import { withClient } from "../session.js";

export const why = () =>
  new Command("why")
    .description("say why a guest hangs, or how it ended, with the evidence")
    .argument("<guest>", "name or id")
    .option("--json", "print {guest, state, findings: [{code, certainty, text, evidence, hint}]}, the surest first")
    .addHelpText(
      "after",
      `
Examples:
  hvkit why web

The guest is looked at for a third of a second, and not changed. docs/why.md lists the findings.`,
    )
    .action(async (guest, { json }) => {
      await withClient(async (client) => {
        const evidence = await collectEvidence(client, guest);
        const findings = diagnose(evidence);
        if (json) printJson({ guest: evidence.guest, state: evidence.state, findings });
        else print(showFindings(findings));
      });
    });

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
