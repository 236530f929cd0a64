// hvkit snapshot: guests' states in files, and what can be done with these files.
import { Command, Option } from "@commander-js/extra-typings";
import type { SnapshotCheck, SnapshotEntry } from "../../api/schemas.js";
import { showSize } from "../../api/size.js";
import { EXIT_FAILED, print, printError, printJson, showAge, style, table } from "../output.js";
import { withProgress } from "../progress.js";
import { withClient } from "../session.js";
import { callOrLook, snapshotReference } from "../snapshots.js";

export const snapshot = () =>
  new Command("snapshot")
    .description("save guests' whole state to files: create, ls, inspect, rm, check")
    .addHelpText(
      "after",
      `
Examples:
  hvkit snapshot create web before-upgrade
  hvkit snapshot ls
  hvkit revert web before-upgrade           the guest goes back
  hvkit restore before-upgrade --name two   another guest goes on from there

Snapshots are files in $XDG_DATA_HOME/hvkit/snapshots (~/.local/share without it), NAME.hvsnap; docs/snapshot.md describes them. A file
elsewhere is given by its path, with a slash: ./web.hvsnap.`,
    )
    .addCommand(create())
    .addCommand(ls())
    .addCommand(inspect())
    .addCommand(rm())
    .addCommand(check());

const create = () =>
  new Command("create")
    .description("save a guest's RAM and state, exactly; the guest goes on")
    .argument("<guest>", "name or id")
    .argument("[name]", "the snapshot's name; by default the guest's, and the time")
    .option("--description <text>", "kept with it", "")
    .option("-f, --force", "replace a snapshot of that name, when the new one is complete")
    .option("--json", "print the snapshot as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit snapshot create web
  hvkit snapshot create web before-upgrade --description 'before the upgrade'

The guest stands still while its RAM is copied, a fraction of a second for 256M on QEMU, and its clock too.`,
    )
    .action(async (guest, name, { description, force, json }) => {
      await withClient(async (client) => {
        const params = { guest, description, replace: force === true, ...(name === undefined ? {} : { name }) };
        const created = await withProgress(client, "the snapshot", () => client.call("snapshot.create", params));
        if (json) printJson(created);
        else print(created.name);
      });
    });

const ls = () =>
  new Command("ls")
    .description("list the snapshots")
    .option("--json", "print as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit snapshot ls`,
    )
    .action(async ({ json }) => {
      const found = await callOrLook("snapshot.ls", {}, async (store) => (await import("../../snapshot/info.js")).listSnapshots(store));
      if (json) printJson(found);
      else print(showSnapshots(found));
    });

const inspect = () =>
  new Command("inspect")
    .description("print all that is known of snapshots, as a JSON array")
    .argument("<snapshots...>", "names, or paths of files")
    .option("--json", "the same: inspect prints JSON in any case")
    .addHelpText(
      "after",
      `
Examples:
  hvkit snapshot inspect before-upgrade
  hvkit snapshot inspect ./web.hvsnap`,
    )
    .action(async (snapshots) => {
      const details = [];
      for (const reference of snapshots.map(snapshotReference)) {
        details.push(
          await callOrLook("snapshot.inspect", { snapshot: reference }, async (store) =>
            (await import("../../snapshot/info.js")).inspectSnapshot(store, reference),
          ),
        );
      }
      printJson(details);
    });

const rm = () =>
  new Command("rm")
    .description("remove snapshots")
    .argument("<snapshots...>", "their names")
    .option("--json", "print the names as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit snapshot rm before-upgrade`,
    )
    .action(async (names, { json }) => {
      const removed: string[] = [];
      for (const name of names) {
        try {
          await callOrLook("snapshot.rm", { name }, async (store) => {
            store.remove(name);
            return {};
          });
          removed.push(name);
          if (!json) print(name);
        } catch (error) {
          printError(error, json === true);
          process.exitCode = EXIT_FAILED;
        }
      }
      if (json) printJson(removed);
    });

const check = () =>
  new Command("check")
    .description("say whether a snapshot can go on here, and name each thing in the way")
    .argument("<snapshot>", "a name, or the path of a file")
    .addOption(
      new Option("--engine <name>", "on this engine, as it was recorded, instead of the hypervisor that is up").choices(["qemu", "bochs"]),
    )
    .option("--json", "print as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit snapshot check web
  hvkit snapshot check ./web.hvsnap --engine bochs

All of the file is read. The exit code is 0 when the snapshot can go on, warnings or not, else 1.`,
    )
    .action(async (text, { engine, json }) => {
      const reference = snapshotReference(text);
      const params = { snapshot: reference, ...(engine === undefined ? {} : { engine }) };
      const found = await callOrLook("snapshot.check", params, async (store, notUp) => {
        if (engine === undefined) throw notUp;
        const { checkRecorded } = await import("../../snapshot/recorded.js");
        return checkRecorded(store, reference, engine);
      });
      if (json) printJson(found);
      else print(showCheck(found));
      if (!found.ok) process.exitCode = EXIT_FAILED;
    });

export function showSnapshots(entries: SnapshotEntry[], now = Date.now()): string {
  const rows = entries.map(({ name, bytes, snapshot: found, problem }) =>
    found
      ? [
          name,
          found.guest.name,
          found.image,
          showSize(found.memoryBytes),
          showSize(bytes),
          `${found.engine.vendor} on ${found.engine.name}`,
          `${showAge(found.createdAt, now)} ago`,
          found.description,
        ]
      : [name, "-", "-", "-", showSize(bytes), "-", "-", `${problem?.code}: ${problem?.message}`],
  );
  return table(["NAME", "GUEST", "IMAGE", "MEMORY", "SIZE", "TAKEN WITH", "CREATED", "DESCRIPTION"], rows, undefined, {
    whole: ["NAME"],
    spare: ["SIZE", "MEMORY", "TAKEN WITH", "CREATED"],
  });
}

export function showCheck({ ok, target, obstacles }: SnapshotCheck): string {
  const lines = obstacles.map(({ severity, text }) => `${style(`${severity}:`, severity === "error" ? "red" : "yellow")} ${text}`);
  const verdict = ok ? `it can go on at ${target}` : target === "any" ? "it cannot be read" : `it cannot go on at ${target}`;
  return [...lines, verdict].join("\n");
}
