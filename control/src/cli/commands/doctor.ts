// hvkit doctor: what this machine can run, and what to do for more. Needs no daemon.
import { Command } from "@commander-js/extra-typings";
import type { Diagnosis } from "../../doctor/checks.js";
import { EXIT_FAILED, print, printJson, style } from "../output.js";

export const doctor = () =>
  new Command("doctor")
    .description("say what this machine can run the hypervisor on, and what to do for more")
    .option("--json", "print checks, verdict and the facts behind them as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit doctor

One line a check: ok, warn (there is something better) or FAIL, with the cure. Exit code 1 when 'hvkit up' has nothing to use.`,
    )
    .action(async ({ json }) => {
      const { collectFacts } = await import("../../doctor/facts.js");
      const { diagnose } = await import("../../doctor/checks.js");
      const facts = await collectFacts();
      const diagnosis = diagnose(facts);
      if (json) printJson({ ...diagnosis, facts });
      else print(showDiagnosis(diagnosis));
      if (!diagnosis.usable) process.exitCode = EXIT_FAILED;
    });

const COLOURS = { ok: "green", warn: "yellow", FAIL: "red" } as const;

export function showDiagnosis({ checks, verdict }: Diagnosis): string {
  const lines = checks.map(
    ({ level, text, cure }) => `${style(level.padEnd(4), COLOURS[level])}  ${text}${cure ? `\n      ${style("→", "dim")} ${cure}` : ""}`,
  );
  return [...lines, "", verdict].join("\n");
}
