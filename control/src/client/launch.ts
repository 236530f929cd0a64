// Starts the daemon as a process of its own, and waits until it is ready or says why it is not.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { fromRpcError } from "../api/jsonrpc.js";
import type { BootRequest, LaunchMessage, LaunchOptions } from "../daemon/boot.js";
import { HvkitError } from "../errors.js";
import { ENDS_AND_HANGUP, Interrupts } from "../interrupts.js";
import { type Abortable, reasonOf } from "./abort.js";

const DAEMON = fileURLToPath(new URL("../daemon/main.js", import.meta.url));

export interface LaunchContext extends LaunchOptions, Abortable {
  /** the daemon's; its runtime folder is by it */
  env?: NodeJS.ProcessEnv;
}

export async function launchDaemon(
  request: BootRequest,
  onLine: (line: string) => void,
  { env = process.env, signal: abort, ...options }: LaunchContext = {},
): Promise<number> {
  abort?.throwIfAborted();
  const stdio = ["ignore", "ignore", "pipe", "ipc"] as const;
  const child = fork(DAEMON, [JSON.stringify(request), JSON.stringify(options)], { detached: true, stdio: [...stdio], execArgv: [], env });
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-4096);
  });
  // An interrupted `up` takes the half-started hypervisor with it: the daemon's end is waited for.
  let interrupted = false;
  const interrupt = (): void => {
    interrupted = true;
    child.kill("SIGTERM");
  };
  const interrupts = new Interrupts(interrupt, ENDS_AND_HANGUP);
  abort?.addEventListener("abort", interrupt);
  try {
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => {
        if (abort?.aborted) reject(reasonOf(abort));
        if (interrupted) reject(new HvkitError("E_INTERRUPTED", "the start was broken off", { hint: "Nothing of it stays." }));
        reject(
          new HvkitError("E_DAEMON", `the daemon ended while it started (${signal ?? `code ${code}`})${words ? `:\n${words.trim()}` : ""}`),
        );
      });
      child.on("message", (message: LaunchMessage) => {
        if (message.type === "line") onLine(message.line);
        else if (message.type === "ready") resolve();
        else if (abort?.aborted) reject(reasonOf(abort));
        else if (!interrupted) reject(fromRpcError(message.error));
      });
    });
  } finally {
    interrupts.close();
    abort?.removeEventListener("abort", interrupt);
    child.removeAllListeners();
    // The channel to one that is bound stays open, until this process ends.
    if (options.bound) child.channel?.unref();
    else if (child.connected) child.disconnect();
    child.stderr?.destroy();
    child.unref();
  }
  return child.pid ?? 0;
}
