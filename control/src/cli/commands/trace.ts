// hvkit trace: a guest's last exits, live ones, or where two recorded traces part.
import { Command, Option } from "@commander-js/extra-typings";
import { HvkitError } from "../../errors.js";
import { parseHexList, parseReasons, type TraceFilter } from "../../trace/filter.js";
import { note, printJson } from "../output.js";
import { withClient } from "../session.js";
import { requireGuest } from "../subject.js";

const LAST = 20;

export const trace = () =>
  new Command("trace")
    .description("print a guest's last exits, or compare two recorded traces")
    .argument("[guest]", "name or id")
    .addOption(new Option("--on", "begin to record its exits").conflicts(["off", "follow", "diff"]))
    .addOption(new Option("--off", "end it; the records go").conflicts(["follow", "diff"]))
    .option("-f, --follow", "go on with what comes, until the guest ends or ^C")
    .option("--reason <list>", "only these exits, for example cpuid,io,msr; the names are those of 'hvkit stats'", parseReasons)
    .option("--port <list>", "only I/O with these ports, in hexadecimal", (text) => parseHexList(text, "--port", 0xffff))
    .option("--msr <list>", "only accesses to these MSRs, in hexadecimal", (text) => parseHexList(text, "--msr", 0xffff_ffff))
    .option("-n, --number <count>", `the last so many of them; ${LAST} without it, all that are there with -o`)
    .option("-o, --output <file>", "write them to a file, JSON, one a line, for --diff")
    .addOption(new Option("--diff <files...>", "two such files: where they part").conflicts(["output", "number"]))
    .option("--json", "print as JSON; with -f one exit a line")
    .addHelpText(
      "after",
      `
The hypervisor keeps the last 1,024 exits of a guest whose exits are recorded; each then takes less than 20 instructions more.
Time counts from the guest's start. 'hvkit run --trace' records from the first exit on.

Examples:
  hvkit trace web --on
  hvkit trace web
  hvkit trace web -f --reason io --port 3f8
  hvkit trace web -o vmx.jsonl
  hvkit trace --diff svm.jsonl vmx.jsonl

--diff compares reasons, addresses, ports, MSRs and values. What only one vendor exits for, or what comes when the clock says so, is left
out: control registers, interrupt windows, HLT, and what clocks read. It ends with exit code 1 when the traces part.`,
    )
    .action(async (guest, options, command) => {
      const { on, off, follow, reason, port, msr, number, output, diff, json } = options;
      if (diff) {
        if (guest !== undefined || diff.length !== 2) command.error("error: --diff takes two files, and no guest");
        const { showDiff } = await import("../tracediff.js");
        process.exitCode = showDiff(diff[0] ?? "", diff[1] ?? "", json === true);
        return;
      }
      if (guest === undefined) return command.error("error: missing required argument 'guest'");
      requireGuest(guest, "recorded exits", "`hvkit trace GUEST -o FILE` keeps those of a guest, and --diff compares two such files.");
      const filter: TraceFilter = {
        ...(reason ? { reasons: reason } : {}),
        ...(port ? { ports: port } : {}),
        ...(msr ? { msrs: msr } : {}),
      };
      const last = number === undefined ? undefined : count(number);
      await withClient(async (client) => {
        if (on || off) {
          const modes = await client.call("trace.set", { guest, ring: on === true });
          if (json) printJson(modes);
          else note(on ? `the exits of ${guest} are recorded: hvkit trace ${guest}` : `the exits of ${guest} are recorded no more`);
          return;
        }
        const { followTrace, printTrace, saveTrace } = await import("../tracing.js");
        if (follow) await followTrace(client, guest, { filter, last: last ?? 0, json: json === true, output });
        else if (output !== undefined) await saveTrace(client, guest, { filter, last, json: json === true, output });
        else await printTrace(client, guest, { filter, last: last ?? LAST, json: json === true });
      });
    });

function count(text: string): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 1024) return value;
  throw new HvkitError("E_USAGE", `--number ${text} is not possible`, { hint: "The hypervisor keeps 1,024 exits: give 1 to 1024." });
}
