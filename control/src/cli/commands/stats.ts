// hvkit stats: a guest's exits by reason, and what it cost.
import { Command } from "@commander-js/extra-typings";
import type { GuestStats } from "../../api/schemas.js";
import { showSize } from "../../api/size.js";
import { pairs, print, printJson, table } from "../output.js";
import { call } from "../session.js";

export const stats = () =>
  new Command("stats")
    .description("print a guest's exits by reason, its times and its overhead")
    .argument("<guest>", "name or id")
    .option("--json", "print as JSON")
    .addHelpText("after", "\nThe hypervisor's own counters are in 'hvkit status'.")
    .action(async (guest, { json }) => {
      const found = await call("stats", { guest });
      if (json) printJson(found);
      else print(showStats(found));
    });

export function showStats(stats: GuestStats): string {
  const total = BigInt(stats.exits);
  const share = (count: string): string => (total === 0n ? "-" : `${((Number(count) / Number(total)) * 100).toFixed(1)} %`);
  const seconds = (ns: string): string => `${(Number(BigInt(ns) / 1000n) / 1e6).toFixed(3)} s`;
  const rows = stats.byReason.map(({ reason, count }) => [reason, count.padStart(String(total).length), share(count).padStart(7)]);
  const counters: [string, string][] = [
    ["exits", stats.exits],
    ["ran", seconds(stats.runNs)],
    ["halted", seconds(stats.haltNs)],
    ["interrupts", stats.injected],
    ["nested faults", stats.nestedFaults],
    ["overhead", `${showSize(stats.overheadBytes)}, and ${showSize(stats.nestedTableBytes)} of nested tables`],
  ];
  if (stats.vmcsAccesses !== "0") counters.push(["VMREAD, VMWRITE", stats.vmcsAccesses]);
  return [pairs(counters), "", table(["EXIT", "COUNT", "SHARE"], rows)].join("\n");
}
