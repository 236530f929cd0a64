// hvkit restore: a new guest that goes on from a snapshot.
import { Command } from "@commander-js/extra-typings";
import { parseCpuList } from "../../cpulist.js";
import { note, print, printJson } from "../output.js";
import { withProgress } from "../progress.js";
import { removeGuest, withClient } from "../session.js";
import { snapshotReference } from "../snapshots.js";

export const restore = () =>
  new Command("restore")
    .description("make a new guest that goes on from a snapshot")
    .argument("<snapshot>", "a name (see 'hvkit snapshot ls'), or the path of a file")
    .option("--name <name>", "the guest's name; by default the saved one's, with a number where that is taken")
    .option("--cpu-affinity <list>", "CPUs that may run it, for example 0,2-3; the default is what the saved one had")
    .option("--no-reboot", "end it when it resets itself, instead of booting its image again")
    .option("--paused", "it goes on at 'hvkit unpause'")
    .option("--json", "print the guest as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit restore before-upgrade
  hvkit restore ./web.hvsnap --name two

It goes on at the very instruction, on whichever engine is up: 'hvkit snapshot check' says beforehand whether it can. Its clock goes on
from when it was saved; with --paused, 'hvkit unpause --clock catch-up' puts it right by the wall clock. 'hvkit reset' boots its image again.`,
    )
    .action(async (snapshot, { name, cpuAffinity, reboot, paused, json }) => {
      await withClient(async (client) => {
        const params = {
          snapshot: snapshotReference(snapshot),
          paused: paused === true,
          ...(reboot ? {} : { noReboot: true }),
          ...(name === undefined ? {} : { name }),
          ...(cpuAffinity === undefined ? {} : { affinity: parseCpuList(cpuAffinity, "--cpu-affinity") }),
        };
        const guest = await withProgress(client, "the restore", () => client.call("restore", params), { undo: removeGuest });
        if (json) printJson(guest);
        else {
          note(`guest ${guest.name} goes on${paused ? " at the next unpause" : `: hvkit console ${guest.name}`}`);
          print(guest.id);
        }
      });
    });
