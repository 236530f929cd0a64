// hvkit stats: a guest's exits by reason, and what it cost.
import { Command, Option } from "@commander-js/extra-typings";
import type { GuestStats } from "../../api/schemas.js";
import { showSize } from "../../api/size.js";
import { pairs, print, printJson, table } from "../output.js";
import { call } from "../session.js";
import { requireGuest } from "../subject.js";

export const stats = () =>
  new Command("stats")
    .description("print a guest's exits by reason, its times and its overhead")
    .argument("<guest>", "name or id")
    .addOption(
      new Option("--time <when>", "time the handling of its exits from now on: each then takes 15 instructions more").choices([
        "on",
        "off",
      ] as const),
    )
    .option("--json", "print as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit stats web
  hvkit stats web --time on

The hypervisor's own counters are in 'hvkit status'; 'hvkit top' shows all of them live.`,
    )
    .action(async (guest, { time, json }) => {
      requireGuest(
        guest,
        "counters of its exits",
        `The hypervisor counts them: \`hvkit run --from ${guest}\` makes a guest of it, whose counters begin at 0.`,
      );
      if (time !== undefined) await call("trace.set", { guest, time: time === "on" });
      const found = await call("stats", { guest });
      if (json) printJson(found);
      else print(showStats(found));
    });

/** How much of the time that it ran the hypervisor handled its exits. */
const handling = ({ handlingNs, timed }: GuestStats): string => {
  if (!timed && handlingNs === "0") return ", with the handling of its exits";
  return `, ${seconds(handlingNs)} of it in the handling of exits${timed ? "" : " while that was timed"}`;
};

const seconds = (ns: string): string => `${(Number(BigInt(ns) / 1000n) / 1e6).toFixed(3)} s`;

export function showStats(stats: GuestStats): string {
  const total = BigInt(stats.exits);
  const share = (count: string): string => (total === 0n ? "-" : `${((Number(count) / Number(total)) * 100).toFixed(1)} %`);
  const rows = stats.byReason.map(({ reason, count }) => [reason, count.padStart(String(total).length), share(count).padStart(7)]);
  const counters: [string, string][] = [
    ["exits", stats.exits],
    ["life", seconds(stats.lifeNs)],
    ["ran", `${seconds(stats.runNs)}${handling(stats)}`],
    ["halted", seconds(stats.haltNs)],
    ["waited", `${seconds(stats.waitNs)} for a CPU`],
    ["paused", seconds(stats.pausedNs)],
    ["interrupts", `${stats.injected} injected`],
    ["nested faults", stats.nestedFaults],
    ["overhead", `${showSize(stats.overheadBytes)}, and ${showSize(stats.nestedTableBytes)} of nested tables`],
  ];
  if (stats.copyFaults !== "0") counters.push(["copied", `${showSize(stats.copiedBytes)}, by ${stats.copyFaults} writes to shared memory`]);
  if (stats.vmcsAccesses !== "0") counters.push(["VMREAD, VMWRITE", stats.vmcsAccesses]);
  return [pairs(counters), "", table(["EXIT", "COUNT", "SHARE"], rows)].join("\n");
}
