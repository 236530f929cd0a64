// Ends the daemon with all that it has, and cleans up after one that was killed: no process, socket or file stays.
import { checkRuntimeFolder, type RuntimePaths, runtimePaths } from "../api/paths.js";
import { HvkitError } from "../errors.js";
import { Client } from "./client.js";
import { remoteDaemon } from "./opening.js";

const PATIENCE_MS = 20_000;

/** What there was. */
export async function takeDown(given?: RuntimePaths): Promise<"up" | "leftovers" | "down"> {
  if (!given && remoteDaemon()) return takeDownRemote();
  const paths = given ?? runtimePaths();
  if (!checkRuntimeFolder(paths.folder)) return "down";
  const { removeFolder, runningDaemon, takeLock } = await import("../daemon/lock.js");
  const { endProcess, waitForEnd } = await import("../native/process.js");
  const daemon = runningDaemon(paths);
  if (!daemon) {
    const found = await takeLock(paths);
    removeFolder(paths);
    return found ? "leftovers" : "down";
  }
  try {
    const client = await Client.connect(paths.socket);
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

/** What it leaves is cleaned up on its own side. */
async function takeDownRemote(): Promise<"up"> {
  const client = await Client.connect();
  const closed = new Promise((resolve) => client.once("close", resolve));
  await client.call("down", {});
  await closed;
  return "up";
}
