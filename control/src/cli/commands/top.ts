// hvkit top: what the guests and the CPUs do, live.
import { Command } from "@commander-js/extra-typings";
import { showSize } from "../../api/size.js";
import type { TopSample } from "../../api/top.js";
import type { Client } from "../../client/client.js";
import { HvkitError } from "../../errors.js";
import { Interrupts } from "../../interrupts.js";
import { showLink } from "../link.js";
import { pairs, print, style, table } from "../output.js";
import { withClient } from "../session.js";
import { cut, terminalWidth } from "../terminal.js";
import { topSample } from "../toprates.js";

const MIN_SECONDS = 0.1;
const MAX_SECONDS = 3600;
/** reasons that a guest's row names */
const NAMED = 3;

export const top = () =>
  new Command("top")
    .description("what the guests and the CPUs do: where time goes, exits, interrupts, the link (q leaves)")
    .option("-i, --interval <seconds>", "time between two looks", "2")
    .option("-n, --number <count>", "leave after so many; without a terminal, one is the default")
    .option("--time", "time the handling of the guests' exits meanwhile: each is then 15 instructions longer")
    .option("--json", "print one JSON object a line for each look")
    .addHelpText(
      "after",
      `
Examples:
  hvkit top
  hvkit top --interval 0.5 --number 10 --json

RUN is the guest itself (and the handling of its exits, without --time), HYPERVISOR the handling of its exits, WAITING the time in
which it could run and another guest or the hypervisor had the CPU. The shares of a guest are 100% together.`,
    )
    .action(async ({ interval, number, time, json }) => {
      const ms = 1000 * seconds(interval);
      const rounds = number === undefined ? undefined : count(number);
      await withClient(async (client) => {
        const timed = time ? await timeAll(client) : [];
        const screen = process.stdout.isTTY === true && json !== true;
        const rest = rounds ?? (screen || json ? Number.POSITIVE_INFINITY : 1);
        try {
          await watch(client, ms, rest, screen, (sample) => {
            if (json) print(JSON.stringify(sample));
            else if (screen) process.stdout.write(`\x1b[H\x1b[2J${fitting(showTop(sample))}\n`);
            else print(showTop(sample));
          });
        } finally {
          for (const guest of timed) await client.call("trace.set", { guest, time: false }).catch(() => {}); // it may be gone
        }
      });
    });

/** A line that goes on in the next one would push the last ones off the screen. */
function fitting(text: string): string {
  const width = terminalWidth(process.stdout);
  return width === undefined
    ? text
    : text
        .split("\n")
        .map((line) => cut(line, width))
        .join("\n");
}

/** Until so many samples are shown, or q, ^C or SIGTERM comes. */
async function watch(client: Client, ms: number, rounds: number, screen: boolean, show: (sample: TopSample) => void): Promise<void> {
  const { stdin, stdout } = process;
  let left = false;
  let wake = (): void => {};
  const leave = (): void => {
    left = true;
    wake();
  };
  const onKey = (keys: Buffer): void => {
    if (keys.includes("q") || keys.includes(3)) leave();
  };
  const keys = screen && stdin.isTTY;
  const interrupts = new Interrupts(leave);
  process.stdout.on("error", leave); // nobody reads
  if (keys) stdin.setRawMode(true).on("data", onKey).resume();
  if (screen) stdout.write("\x1b[?1049h\x1b[?25l"); // a screen of its own, without a cursor
  try {
    let before = await client.call("top", {});
    for (let round = 0; round < rounds && !left; round++) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (left) break;
      const after = await client.call("top", {});
      show(topSample(before, after));
      before = after;
    }
  } finally {
    interrupts.close();
    process.stdout.off("error", leave);
    if (keys) stdin.setRawMode(false).off("data", onKey).pause();
    if (screen) stdout.write("\x1b[?25h\x1b[?1049l");
  }
}

/** Those that were not timed before. */
async function timeAll(client: Client): Promise<string[]> {
  const { guests } = await client.call("top", {});
  const begun: string[] = [];
  for (const { id, timed } of guests) {
    if (timed) continue;
    await client.call("trace.set", { guest: id, time: true });
    begun.push(id);
  }
  return begun;
}

export function showTop(sample: TopSample): string {
  const { vendor, engine, uptimeNs, intervalNs, cpus, guests, link } = sample;
  const percent = (value: number | null): string => (value === null ? "-" : `${value.toFixed(1)}%`);
  const size = (count: number): string => showSize(Math.round(count));
  const head = pairs([
    [
      "hvkit top",
      `${vendor} on ${engine.name} (${engine.accel}), up ${(Number(uptimeNs) / 1e9).toFixed(1)} s; the last ${(Number(intervalNs) / 1e9).toFixed(1)} s`,
    ],
    ...cpus.map(({ index, loadPercent, guestsPercent, exitsPerSecond, injectedPerSecond, guest }): [string, string] => [
      `CPU ${index}`,
      [
        `${percent(loadPercent)} busy`,
        `${percent(guestsPercent)} for guests`,
        `${exitsPerSecond} exits/s`,
        `${injectedPerSecond} injected/s`,
        ...(guest === null ? [] : [`guest ${guest}`]),
      ].join(", "),
    ]),
    ["link", `${size(link.bytesInPerSecond)}/s in, ${size(link.bytesOutPerSecond)}/s out; since the start ${showLink(link)}`],
  ]);
  if (guests.length === 0) return `${head}\n\n${style("no guests", "dim")}`;
  const rows = guests.map((guest) => [
    guest.name,
    guest.state,
    guest.cpu === null ? "-" : String(guest.cpu),
    percent(guest.runPercent).padStart(6),
    percent(guest.hypervisorPercent).padStart(10),
    percent(guest.haltPercent).padStart(6),
    percent(guest.waitPercent).padStart(7),
    percent(guest.pausedPercent).padStart(6),
    guest.exitsPerSecond.toFixed(0).padStart(7),
    guest.injectedPerSecond.toFixed(0).padStart(10),
    guest.byReason
      .filter(({ perSecond }) => perSecond > 0)
      .slice(0, NAMED)
      .map(({ reason, perSecond }) => `${reason} ${perSecond.toFixed(0)}`)
      .join(", "),
  ]);
  const headings = ["GUEST", "STATE", "CPU", "   RUN", "HYPERVISOR", "HALTED", "WAITING", "PAUSED", "EXITS/S", "INJECTED/S", "MOST"];
  return `${head}\n\n${table(headings, rows)}`;
}

function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= MIN_SECONDS && value <= MAX_SECONDS) return value;
  throw new HvkitError("E_USAGE", `--interval ${text} is no time`, { hint: `Give seconds, ${MIN_SECONDS} to ${MAX_SECONDS}.` });
}

function count(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new HvkitError("E_USAGE", `--number ${text} is no count`, { hint: "Give a number, 1 or more." });
}
