// hvkit up: boots the hypervisor, in a daemon that stays.
import { Command, Option } from "@commander-js/extra-typings";
import { HostLimit } from "../../../../protocol/messages.js";
import type { Status } from "../../api/schemas.js";
import { parseSize } from "../../api/size.js";
import { HvkitError } from "../../errors.js";
import { note, ProgressLine, print, printJson, style } from "../output.js";
import { call } from "../session.js";

/** less does not hold the hypervisor and one Linux guest; more than QEMU's and Bochs' 32-bit hole leaves is not used */
const MIN_MEMORY = 64 * 2 ** 20;

export const up = () =>
  new Command("up")
    .description("boot the hypervisor in the best engine of this machine")
    .addOption(
      new Option("--engine <name>", "what runs the hypervisor").choices(["auto", "qemu", "bochs"] as const).default("auto" as const),
    )
    .addOption(new Option("--accel <name>", "how QEMU runs it").choices(["auto", "kvm", "tcg"] as const).default("auto" as const))
    .option("--memory <size>", "RAM of the machine that the hypervisor boots on", "1G")
    .option("--cpus <count>", `CPUs of that machine, 1 to ${HostLimit.Cpus}; without it two where there are, one in Bochs`)
    .option("--json", "print the status as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit up
  hvkit up --engine bochs          Intel VMX without hardware for it
  hvkit up --memory 2G --cpus 4 --accel tcg

'hvkit doctor' says which engine "auto" takes here, and why.`,
    )
    .action(async ({ engine, accel, memory, cpus: count, json }, command) => {
      const memoryBytes = parseSize(memory, "--memory");
      if (memoryBytes < MIN_MEMORY || memoryBytes % 2 ** 20 !== 0) {
        throw new HvkitError("E_MEMORY_SIZE", `the hypervisor's machine cannot have ${memory} of memory`, {
          hint: "Give it whole MiB, 64M or more.",
        });
      }
      const cpus = count === undefined ? undefined : cpuCount(count);
      const running = await runningStatus();
      if (running) {
        const other =
          (engine !== "auto" && engine !== running.engine?.name) ||
          (accel !== "auto" && accel !== running.engine?.accel) ||
          (cpus !== undefined && cpus !== running.hypervisor?.cpus) ||
          command.getOptionValueSource("memory") === "cli";
        if (other) throw new HvkitError("E_ALREADY_UP", "the hypervisor is up, with other options", { hint: "`hvkit down` first." });
        if (json) printJson(running);
        else print(`up already: ${describe(running)}`);
        return;
      }
      const { launchDaemon } = await import("../../client/launch.js");
      const progress = new ProgressLine();
      const started = Date.now();
      try {
        await launchDaemon({ engine, accel, memoryBytes, ...(cpus === undefined ? {} : { cpus }) }, (line) => {
          if (line.startsWith("engine: ")) note(line.slice(8));
          else progress.show(style(line, "dim", process.stderr));
        });
      } finally {
        progress.clear();
      }
      const status = await call("status", {});
      if (json) printJson(status);
      else print(`up: ${describe(status)}, ready in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    });

function cpuCount(text: string): number {
  const isNumber = /^\d{1,9}$/.test(text);
  const count = isNumber ? Number(text) : 0;
  if (count >= 1 && count <= HostLimit.Cpus) return count;
  const what = isNumber ? `the hypervisor's machine cannot have ${count} CPUs` : `--cpus '${text}' is no number of CPUs`;
  throw new HvkitError("E_USAGE", what, { hint: `Give a whole number from 1 to ${HostLimit.Cpus}, for example --cpus 2.` });
}

async function runningStatus(): Promise<Status | undefined> {
  try {
    return await call("status", {});
  } catch (error) {
    if (error instanceof HvkitError && error.code === "E_NOT_UP") return undefined;
    throw error;
  }
}

function describe({ hypervisor, engine, state }: Status): string {
  return `${hypervisor?.vendor ?? state} on ${engine?.name ?? "no engine"} (${engine?.accel ?? "-"})`;
}
