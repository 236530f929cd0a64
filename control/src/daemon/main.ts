// The daemon's process, started by `hvkit up` (client/launch.ts): takes the lock, boots, tells the starter how it went over the
// channel to its parent, and then lives until `down`, SIGTERM or SIGINT. Its arguments are a BootRequest and a LaunchOptions, in JSON.

import { toRpcError } from "../api/jsonrpc.js";
import { runtimePaths } from "../api/paths.js";
import { projectRoot } from "../api/root.js";
import { type BootRequest, bootFrom, type LaunchMessage, type LaunchOptions } from "./boot.js";
import { Daemon } from "./daemon.js";
import { removeFolder, takeLock } from "./lock.js";
import { openLog } from "./log.js";

/** To the process that started us, while it listens. */
function tell(message: LaunchMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || !process.send) resolve();
    else process.send(message, () => resolve());
  });
}

async function main(): Promise<void> {
  process.umask(0o077);
  const request = JSON.parse(process.argv[2] ?? "{}") as BootRequest;
  const { bound, ...options } = JSON.parse(process.argv[3] ?? "{}") as LaunchOptions;
  const paths = runtimePaths();
  await takeLock(paths);
  const log = openLog(paths.log);
  const root = projectRoot();
  process.chdir("/");
  process.stderr.on("error", () => {}); // and with it the reader of our standard error

  const leave = (code: number): void => {
    removeFolder(paths);
    process.exit(code);
  };
  const daemon = new Daemon({
    boot: bootFrom(root),
    request,
    paths,
    root,
    log,
    ...options,
    onLine: (line) => void tell({ type: "line", line }),
    onDown: () => leave(0),
  });
  // Only one that is bound ends with its starter, which may go before we are ready.
  if (bound) process.on("disconnect", () => void daemon.stop().finally(() => leave(0)));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void daemon.stop().finally(() => leave(0)));
  const die = (error: unknown): void => {
    log.fatal({ err: error }, "the daemon failed");
    void daemon.stop().finally(() => leave(1));
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);

  try {
    await daemon.start();
  } catch (error) {
    log.error({ err: error }, "the hypervisor did not come up");
    await tell({ type: "failed", error: toRpcError(error) });
    await daemon.stop().catch(() => {});
    leave(1);
    return;
  }
  await tell({ type: "ready" });
  if (process.connected && !bound) process.disconnect();
}

main().catch(async (error: unknown) => {
  await tell({ type: "failed", error: toRpcError(error) });
  process.exit(1);
});
