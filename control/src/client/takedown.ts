// Ends the daemon with all that it has, and cleans up after one that was killed: no process, socket or file stays.
import { checkRuntimeFolder, type RuntimePaths, runtimePaths } from "../api/paths.js";
import { HvkitError } from "../errors.js";
import { Client } from "./client.js";
import { remoteDaemon } from "./opening.js";

/** for a daemon to end by itself, before it is killed */
const PATIENCE_MS = 20_000;

export interface TakeDownOptions {
  /** of the daemon; by default this user's and instance's, or the one that HVKIT_URL names */
  paths?: RuntimePaths;
  /** before it is ended by a signal */
  patienceMs?: number;
}

/** What there was. */
export async function takeDown({ paths: given, patienceMs = PATIENCE_MS }: TakeDownOptions = {}): Promise<"up" | "leftovers" | "down"> {
  if (!given && remoteDaemon()) return takeDownRemote();
  const paths = given ?? runtimePaths();
  if (!checkRuntimeFolder(paths.folder)) return "down";
  const { runningDaemon } = await import("../daemon/lock.js");
  const { endProcess, waitForEnd } = await import("../native/process.js");
  const daemon = runningDaemon(paths);
  if (!daemon) return (await cleanUp(paths)) ? "leftovers" : "down";
  // One that is starting, or hangs, does not do it: the signal ends that one, too.
  if (!(await asked(paths.socket, patienceMs)) || !(await waitForEnd(daemon, patienceMs))) await endProcess(daemon, patienceMs);
  if (!(await waitForEnd(daemon, patienceMs))) {
    throw new HvkitError("E_DOWN", `the daemon (process ${daemon.pid}) does not end`, {
      hint: `Its log is ${paths.log}; \`kill -9 ${daemon.pid}\`, then \`hvkit down\` again.`,
    });
  }
  if (checkRuntimeFolder(paths.folder) && !runningDaemon(paths)) await cleanUp(paths);
  return "up";
}

/** Whether a daemon had left anything. */
async function cleanUp(paths: RuntimePaths): Promise<boolean> {
  const { removeFolder, takeLock } = await import("../daemon/lock.js");
  const found = await takeLock(paths);
  removeFolder(paths);
  return found;
}

/** The daemon says that it will end. */
async function asked(socket: string, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false);
  });
  const ask = async (): Promise<boolean> => {
    const client = await Client.connect(socket);
    await client.call("down", {});
    await client.close();
    return true;
  };
  const answer = ask().catch((error: unknown) => {
    if (error instanceof HvkitError) return false;
    throw error;
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => {}); // when it came too late
  }
}

/** What it leaves is cleaned up on its own side. */
async function takeDownRemote(): Promise<"up"> {
  const client = await Client.connect();
  const closed = new Promise((resolve) => client.once("close", resolve));
  await client.call("down", {});
  await closed;
  return "up";
}
