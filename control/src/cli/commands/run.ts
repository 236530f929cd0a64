// hvkit run: makes a guest of an image and starts it.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "@commander-js/extra-typings";
import { cpuModels } from "../../api/cpu.js";
import type { Client } from "../../client/client.js";
import { parseCpuList } from "../../cpulist.js";
import { HvkitError } from "../../errors.js";
import { parseCloneCount } from "../clonecount.js";
import { note, print, printJson } from "../output.js";
import { withProgress } from "../progress.js";
import { removeGuest, withClient } from "../session.js";
import { snapshotReference } from "../snapshots.js";

interface Added {
  file: string;
  path: string;
}

export const run = () =>
  new Command("run")
    .description("run an image as a new guest, or copies of a snapshot")
    .argument("[image]", "an image's name (see 'hvkit images'), or the path of a folder with image.json and its files")
    .option("--name <name>", "the guest's name; without it, it gets one")
    .addOption(
      new Option("--from <snapshot>", "no image, but a copy of a snapshot: its name, or a file").conflicts([
        "memory",
        "cpu",
        "append",
        "add",
        "trace",
        "deterministic",
      ]),
    )
    .option(
      "--count <number>",
      "with --from: how many copies, for which the snapshot is read once; more than one are not attached to",
      parseCloneCount,
    )
    .option("--memory <size>", "the guest's RAM, for example 128M; the default is the image's")
    .addOption(
      new Option("--cpu <model>", "what the guest's CPU is: the same on every host, so that it can move, or what this host has")
        .choices(cpuModels)
        .default("portable" as const),
    )
    .option("--append <text>", "added to the kernel's command line")
    .option(
      "--add <file[:path]>",
      "put a file into the guest: into Linux' first file system (/add/FILE without a path), or as a multiboot module",
      addFile,
      [] as Added[],
    )
    .option("--cpu-affinity <list>", "CPUs that may run it, for example 0,2-3; the default is all")
    .option("--no-reboot", "end it when it resets itself, instead of starting it again; a Linux that panics ends, too")
    .option("--trace", "record its exits from the first one on, for 'hvkit trace'")
    .option("--paused", "leave it before its first instruction, for 'hvkit debug' or 'hvkit unpause'")
    .option("--rm", "remove it when it has ended")
    .addOption(new Option("-i, --interactive", "as docker has it: what is typed goes to the guest in any case").hideHelp())
    .addOption(new Option("-t, --tty", "as docker has it: the console is a terminal where there is one").hideHelp())
    .option("-d, --detach", "do not attach to the console; print the guest's id")
    .addOption(
      new Option("--deterministic", "in a machine of its own that does the same at each run, to the byte; without a daemon").conflicts([
        "name",
        "cpu",
        "add",
        "cpuAffinity",
        "trace",
        "paused",
        "rm",
        "detach",
      ]),
    )
    .option("--with <image>", "with --deterministic: a further guest, its command line after the name, in quotes", addImage, [] as string[])
    .addOption(new Option("--engine <name>", "with --deterministic: what runs the machine").choices(["auto", "qemu", "bochs"] as const))
    .option("--json", "print the guest as JSON: at its start with -d, else at its end, and its console on standard error")
    .addHelpText(
      "after",
      `
Examples:
  hvkit run linux
  hvkit run linux --name web --memory 256M -d
  hvkit run linux --cpu host
  hvkit run linux --append 'nonce=7' --add ./data --add ./test.sh:/bin/test.sh
  hvkit run ./my-kernel
  hvkit run --rm linux
  hvkit run --from before-upgrade --name test --count 3
  hvkit run hello64 --append ticks=3 --deterministic
  hvkit run hello16 --deterministic --with 'hello64 ticks=2' --engine bochs

On a terminal, ^] leaves the console and the guest goes on. Without one, the console's output is printed until the guest ends.
A guest that ended is kept for 'logs', 'regs', 'mem' and 'stats' until 'hvkit rm'; with --rm
it is not.`,
    )
    .action(
      async (
        image,
        {
          name,
          from,
          count,
          memory,
          cpu,
          append,
          add,
          cpuAffinity,
          reboot,
          paused,
          trace,
          rm,
          detach,
          json,
          deterministic,
          with: beside,
          engine,
        },
      ) => {
        const source = sourceOf(image, from, count);
        if (deterministic) {
          const { runDeterministic } = await import("../deterministic.js");
          const images = [{ image: source, memory, append }, ...beside.map(splitImage)].map((each) => ({
            ...each,
            image: reference(each.image),
          }));
          await runDeterministic(images, { engine: engine ?? "auto", json: json === true });
          return;
        }
        if (beside.length > 0 || engine !== undefined) {
          throw new HvkitError("E_USAGE", "--with and --engine are for --deterministic", {
            hint: "The hypervisor that is up runs one guest after the other: `hvkit run` again, with -d.",
          });
        }
        await withClient(async (client) => {
          const common = {
            paused: paused === true,
            ...(reboot ? {} : { noReboot: true }),
            ...(rm ? { autoRemove: true } : {}),
            ...(name === undefined ? {} : { name }),
            ...(cpuAffinity === undefined ? {} : { affinity: parseCpuList(cpuAffinity, "--cpu-affinity") }),
          };
          const make = async () => {
            if (from !== undefined) return client.call("run.from", { ...common, snapshot: snapshotReference(from), count: count ?? 1 });
            const launch = { image: reference(source), cpu, add, trace: trace === true };
            const more = { ...(memory === undefined ? {} : { memory }), ...(append === undefined ? {} : { append }) };
            return [await client.call("run", { ...common, ...launch, ...more })];
          };
          const undo = (guests: readonly { id: string }[]) => Promise.all(guests.map(removeGuest));
          const made = await withProgress(client, "the start", make, { undo });
          const [guest] = made;
          if (guest === undefined || detach || made.length > 1) {
            if (json) printJson(from === undefined ? guest : made);
            else for (const { id } of made) print(id);
            return;
          }
          note(`guest ${guest.name} (${guest.id})${process.stdin.isTTY ? ", ^] leaves" : ""}`);
          const { attach, exitCodeOf } = await import("../attach.js");
          const end = await attach(client, guest.id, {
            forwardInput: process.stdin.isTTY === true,
            output: json ? process.stderr : process.stdout, // standard output is JSON's
          });
          if (json) {
            const ended = await client.call("inspect", { guest: guest.id });
            printJson(from === undefined ? ended : [ended]);
          }
          // The daemon does it, too, when this connection is closed: but who waited for the guest may count on it.
          if (rm && end?.state === "exited") await removed(client, guest.id);
          if (end) process.exitCode = exitCodeOf(end);
        });
      },
    );

/** By now somebody else may have removed it, or started it again. */
async function removed(client: Client, guest: string): Promise<void> {
  try {
    await client.call("rm", { guest });
  } catch (error) {
    if (!(error instanceof HvkitError) || !["E_NO_GUEST", "E_GUEST_RUNNING"].includes(error.code)) throw error;
  }
}

/** The image, or the snapshot. */
function sourceOf(image: string | undefined, from: string | undefined, count: number | undefined): string {
  const source = image ?? from;
  if (source === undefined) {
    throw new HvkitError("E_USAGE", "missing required argument 'image'", {
      hint: "Give one (`hvkit images`), or --from with a snapshot; `hvkit help run` shows what there is.",
    });
  }
  if ((image !== undefined && from !== undefined) || (from === undefined && count !== undefined)) {
    throw new HvkitError("E_USAGE", from === undefined ? "--count is for --from" : "--from is instead of an image", {
      hint: "`hvkit help run` shows what there is; `hvkit clone` makes copies of a guest.",
    });
  }
  return source;
}

/** A name, or a folder's absolute path. */
const reference = (image: string): string => (image.includes("/") ? resolve(image) : image);

const addImage = (text: string, before: string[]): string[] => [...before, text];

/** "hello64 ticks=2": an image, and its command line */
function splitImage(text: string): { image: string; append: string } {
  const [image = "", ...words] = text.trim().split(/\s+/);
  return { image, append: words.join(" ") };
}

/** FILE or FILE:PATH; without a path it goes to /add, under its own name. The name of a file that is there may have colons. */
export function addFile(text: string, before: Added[]): Added[] {
  const colon = existsSync(text) ? -1 : text.lastIndexOf(":");
  const file = resolve(colon < 0 ? text : text.slice(0, colon));
  const path = colon < 0 ? `/add/${file.slice(file.lastIndexOf("/") + 1)}` : text.slice(colon + 1);
  return [...before, { file, path }];
}
