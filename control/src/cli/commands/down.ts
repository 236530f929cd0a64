// hvkit down: ends guests, hypervisor, engine and daemon; no process, socket or file stays.
import { Command } from "@commander-js/extra-typings";
import { checkRuntimeFolder, runtimePaths } from "../../api/paths.js";
import { HvkitError } from "../../errors.js";
import { print, printJson } from "../output.js";
import { connect } from "../session.js";

const PATIENCE_MS = 20_000;

export const down = () =>
  new Command("down")
    .description("end all guests, the hypervisor and its engine")
    .option("--json", "print what was done as JSON")
    .addHelpText("after", "\nWhat a daemon left that was killed is cleaned up too.")
    .action(async ({ json }) => {
      const done = await end();
      if (json) printJson({ was: done });
      else print({ up: "down", leftovers: "down (cleaned up what a dead daemon had left)", down: "already down" }[done]);
    });

async function end(): Promise<"up" | "leftovers" | "down"> {
  const paths = runtimePaths();
  if (!checkRuntimeFolder(paths.folder)) return "down";
  const { removeFolder, runningDaemon, takeLock } = await import("../../daemon/lock.js");
  const { endProcess, waitForEnd } = await import("../../native/process.js");
  const daemon = runningDaemon(paths);
  if (!daemon) {
    const found = await takeLock(paths);
    removeFolder(paths);
    return found ? "leftovers" : "down";
  }
  try {
    const client = await connect();
    await client.call("down", {});
    await client.close();
  } catch (error) {
    // It is starting, or hangs: the signal ends it too.
    if (!(error instanceof HvkitError)) throw error;
    await endProcess(daemon, PATIENCE_MS);
  }
  if (!(await waitForEnd(daemon, PATIENCE_MS))) {
    throw new HvkitError("E_DOWN", `the daemon (process ${daemon.pid}) does not end`, {
      hint: `Its log is ${paths.log}; \`kill -9 ${daemon.pid}\`, then \`hvkit down\` again.`,
    });
  }
  return "up";
}
