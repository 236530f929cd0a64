// hvkit status: the engine, the hypervisor in it, and what went wrong last.
import { Command } from "@commander-js/extra-typings";
import type { Status } from "../../api/schemas.js";
import { showSize } from "../../api/size.js";
import { HvkitError } from "../../errors.js";
import { showLink } from "../link.js";
import { pairs, print, printJson, showAge } from "../output.js";
import { call } from "../session.js";

export const status = () =>
  new Command("status")
    .description("what runs: engine, vendor, memory, uptime, the last failure")
    .option("--json", 'print as JSON; without a daemon it is {"state": "down"}')
    .addHelpText(
      "after",
      `
Examples:
  hvkit status
  hvkit status --json`,
    )
    .action(async ({ json }) => {
      const found = await call("status", {}).catch((error: unknown) => {
        if (error instanceof HvkitError && error.code === "E_NOT_UP") return undefined;
        throw error;
      });
      if (json) printJson(found ?? { state: "down" });
      else print(found ? showStatus(found) : "down");
    });

const showModule = ({ slot, identity }: { slot: number; identity: string }): string =>
  `${identity}${slot === 0 ? ", the boot image's" : `, loaded into place ${slot}`}`;

const showSeconds = (nanoseconds: string): string => `${(Number(nanoseconds) / 1e9).toFixed(1)} s`;

export function showStatus(status: Status, now = Date.now()): string {
  const { engine, hypervisor, linkLost, lastFailure } = status;
  const rows: [string, string][] = [["state", `${status.state}, for ${showAge(status.startedAt, now)}`]];
  if (status.instance !== null) rows.push(["instance", status.instance]);
  if (engine)
    rows.push(
      ["engine", `${engine.name} (${engine.accel})${engine.pid === null ? "" : `, process ${engine.pid}`}`],
      ["chosen", engine.why],
    );
  if (linkLost) rows.push(["link", `lost ${showAge(linkLost.since, now)} ago, the guests go on: ${linkLost.reason}`]);
  if (hypervisor) {
    const { link } = hypervisor;
    rows.push(
      [
        "vendor",
        `${hypervisor.vendor}, ${hypervisor.cpus} CPU${hypervisor.cpus === 1 ? "" : "s"} at ${(hypervisor.tscKhz / 1000).toFixed(0)} MHz`,
      ],
      ...hypervisor.perCpu.map(({ index, loadPercent, busyNs, idleNs, guest }): [string, string] => [
        `CPU ${index}`,
        `${loadPercent}% busy; since the start ${showSeconds(busyNs)} busy, ${showSeconds(idleNs)} idle${guest === null ? "" : `; guest ${guest}`}`,
      ]),
      [
        "memory",
        `${showSize(hypervisor.freeBytes)} free of ${showSize(hypervisor.totalBytes)}, ${showSize(hypervisor.dirtyBytes)} to scrub`,
      ],
      ["build", hypervisor.identity],
      ["machine", showModule(hypervisor.module)],
      ["link", showLink(link)],
    );
  }
  rows.push(
    ["guests", `${status.guests.running} running of ${status.guests.total}${linkLost ? ", when the link was lost" : ""}`],
    ["daemon", `process ${status.pid}, ${status.folder}`],
    ["log", status.log],
  );
  if (status.tcp) rows.push(["listens", `${status.tcp.url}, token in ${status.tcp.tokenFile}`]);
  if (status.restarts > 0) rows.push(["restarts", String(status.restarts)]);
  if (lastFailure) rows.push(["failure", [`${showAge(lastFailure.at, now)} ago: ${lastFailure.reason}`, ...lastFailure.panic].join("\n")]);
  return pairs(rows);
}
