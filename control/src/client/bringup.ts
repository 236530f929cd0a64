// The hypervisor for whoever wants it: booted in a daemon that stays, or found up and as it is wanted. Of several who want it at once
// one boots it, and the others wait for that.
import { setTimeout as sleep } from "node:timers/promises";
import { runtimePaths } from "../api/paths.js";
import type { Status } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { type BootWish, bootRequest, differences } from "./bootwish.js";
import { Client } from "./client.js";
import { type LaunchContext, launchDaemon } from "./launch.js";

/** for one that somebody else boots */
const PATIENCE_MS = 120_000;
const POLL_MS = 100;

export interface BringUpOptions extends LaunchContext {
  onLine?: (line: string) => void;
}

export interface BroughtUp {
  status: Status;
  /** by this call: it was not up */
  booted: boolean;
}

/** Throws E_ALREADY_UP when it is up and another one than is wanted, and what the boot fails with. */
export async function bringUp(wish: BootWish, { onLine = () => {}, ...launch }: BringUpOptions = {}): Promise<BroughtUp> {
  const paths = runtimePaths(launch.env);
  const { runningDaemon } = await import("../daemon/lock.js");
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    launch.signal?.throwIfAborted();
    const status = await statusAt(paths.socket);
    if (status && status.state !== "starting") return { status: checked(status, wish, launch), booted: false };
    const isSomebodyElses = status !== undefined || runningDaemon(paths) !== undefined;
    if (!isSomebodyElses && (await launched(wish, onLine, launch))) {
      const own = await statusAt(paths.socket);
      if (own) return { status: own, booted: true };
    }
    if (Date.now() > until) {
      throw new HvkitError("E_ALREADY_UP", "a daemon is being started, and does not come up", {
        hint: `Its log is ${paths.log}; \`hvkit down\` ends it.`,
      });
    }
    await sleep(POLL_MS, undefined, { signal: launch.signal });
  }
}

/** False: another one was faster. */
async function launched(wish: BootWish, onLine: (line: string) => void, launch: LaunchContext): Promise<boolean> {
  try {
    await launchDaemon(bootRequest(wish), onLine, launch);
    return true;
  } catch (error) {
    if (error instanceof HvkitError && error.code === "E_ALREADY_UP") return false;
    throw error;
  }
}

/** Undefined: nobody answers there. */
async function statusAt(socket: string): Promise<Status | undefined> {
  try {
    const client = await Client.connect(socket);
    try {
      return await client.call("status", {});
    } finally {
      await client.close();
    }
  } catch (error) {
    // Between the two it may have been taken down.
    if (error instanceof HvkitError && ["E_NOT_UP", "E_DAEMON_LOST"].includes(error.code)) return undefined;
    throw error;
  }
}

function checked(status: Status, wish: BootWish, { listen }: LaunchContext): Status {
  const how = differences(wish, listen, status);
  if (how.length === 0) return status;
  throw new HvkitError("E_ALREADY_UP", `the hypervisor is up, and is another one than is asked for: ${how.join("; ")}`, {
    hint: "`hvkit down` first, or boot another one beside it with --instance NAME.",
    data: { differences: how },
  });
}
