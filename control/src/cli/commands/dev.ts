// hvkit dev: save a source of the hypervisor, and see it run.
import { resolve } from "node:path";
import { Command } from "@commander-js/extra-typings";
import type { DevEvent } from "../../api/dev.js";
import { bootRequest, bootWish } from "../../client/bootwish.js";
import { Interrupts } from "../../interrupts.js";
import { accelOption, cpusOption, engineOption, memoryOption } from "../bootoptions.js";
import { note, print, style } from "../output.js";

export const dev = () =>
  new Command("dev")
    .description("watch the sources; on a save build, boot the hypervisor anew and run the guests again")
    .argument("[images...]", "images to run at the start, unless there is such a guest")
    .addOption(engineOption())
    .addOption(accelOption())
    .addOption(memoryOption())
    .addOption(cpusOption())
    .option("--live", "give the guests that run the new machine (hv/machine), instead of booting anew")
    .option("--json", "print what happens as JSON, one object a line")
    .addHelpText(
      "after",
      `
Examples:
  hvkit dev hello64
  hvkit dev linux --engine bochs
  hvkit dev linux --live

It watches hv, protocol, images and control/src of the checkout. A hypervisor that is up already is taken as it is, with its guests; all
that 'hvkit ps' lists are run again after a save, with the options that they were run with. When a build fails, what runs stays.
With --live a save of hv/machine leaves all guests running: each goes over to the new machine between two of its exits, with its state. One that
cannot keeps its machine, and says why. What changed besides hv/machine needs a restart, and is told.
^C leaves, and ends the hypervisor if 'dev' has booted it.`,
    )
    .action(async (images, { json, live = false, ...options }) => {
      const request = bootRequest(bootWish(options));
      const leaving = new AbortController();
      const interrupts = new Interrupts(() => leaving.abort());
      const { dev: run } = await import("../../dev/dev.js");
      await run({
        request,
        live,
        images: images.map((image) => (image.includes("/") ? resolve(image) : image)),
        signal: leaving.signal,
        tell: (event) => {
          if (json) print(JSON.stringify(event));
          else show(event);
        },
      }).finally(() => interrupts.close());
    });

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function show(event: DevEvent): void {
  if (event.event === "output") print(`${style(`${event.guest} |`, "cyan")} ${event.text}`);
  else if (event.event === "failed") note(`${style(`${FAILED[event.what]}:`, "red", process.stderr)} ${event.text}`);
  else note(style(describeDev(event), "bold", process.stderr));
}

const FAILED = {
  build: "the build failed, what runs stays",
  up: "the hypervisor did not come up",
  guest: "a guest was not started",
  swap: "the machines were not exchanged, what runs stays",
};

export function describeDev(event: Exclude<DevEvent, { event: "output" | "failed" }>): string {
  switch (event.event) {
    case "watching":
      return `watching ${event.folders.join(", ")} (^C leaves)`;
    case "changed":
      return `changed: ${event.files.slice(0, 5).join(", ")}${event.files.length > 5 ? ` and ${event.files.length - 5} more` : ""}`;
    case "built":
      return event.steps === 0 ? "the build is up to date" : `built in ${seconds(event.ms)}`;
    case "up":
      return `up: ${event.vendor} on ${event.engine} (${event.accel}), in ${seconds(event.ms)}`;
    case "started":
      return `${event.guest}: started in ${seconds(event.ms)}`;
    case "swapped":
      return describeSwap(event);
    case "restart-needed":
      return event.text;
    case "first-output":
      return `${event.guest}: first output ${seconds(event.msAfterSave)} after the save`;
  }
}

function describeSwap({ module, newGuests, guests, msAfterSave }: Extract<DevEvent, { event: "swapped" }>): string {
  const kept = guests.filter(({ error }) => error !== null);
  const over = guests.filter(({ error }) => error === null).map(({ guest, ms }) => `${guest} (${ms.toFixed(1)} ms)`);
  return [
    `machine ${module}, ${seconds(msAfterSave)} after the save: ${over.length > 0 ? over.join(", ") : "no guest went over"}`,
    ...kept.map(({ guest, error }) => `${guest} keeps its machine: ${error}`),
    ...(newGuests ? [] : ["new guests start on the machine before"]),
  ].join("\n");
}
