// hvkit debug: a port that gdb connects to, for a guest or for the hypervisor itself; and gdb, wired to it.
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { runtimePaths } from "../../api/paths.js";
import { projectRoot } from "../../api/root.js";
import type { Client } from "../../client/client.js";
import { HvkitError } from "../../errors.js";
import { interruption } from "../../interrupts.js";
import { runGdb, showGdb } from "../gdb.js";
import { guestMonitor } from "../monitor.js";
import { note, print, printJson } from "../output.js";
import { call, withClient } from "../session.js";
import { requireGuest } from "../subject.js";

const MAX_PORT = 65535;

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= MAX_PORT) return port;
  throw new HvkitError("E_USAGE", `'${text}' is no TCP port`, { hint: `A port is a number from 0 (any that is free) to ${MAX_PORT}.` });
}

export const debug = () =>
  new Command("debug")
    .description("debug a guest with gdb, or the hypervisor itself")
    .argument("[guest]", "name or id")
    .argument("[arguments...]", "for gdb, after --: gdb is run")
    .option("--port <number>", "TCP port on this machine to listen on; by default one that is free", parsePort)
    .option("--symbols <file>", "an ELF file with the guest's symbols; by default those of a Linux kernel or a multiboot image are found")
    .option("--no-symbols", "give gdb none")
    .option("--gdb", "run gdb here, and end with it")
    .option("--hypervisor", "debug the hypervisor by the engine's own stub, with the hypervisor's symbols")
    .option("--json", "print where it listens as JSON")
    .addHelpText(
      "after",
      `
The guest stops when gdb connects, and goes on when gdb detaches or is gone. Without --gdb the port stays, for one gdb after the other,
until ^C or until the guest is removed.

Examples:
  hvkit debug web                                 prints what to give gdb
  hvkit debug web --gdb                           gdb in this terminal
  hvkit debug web -- -batch -ex bt -ex detach     one answer, unattended
  hvkit run linux --paused -d --name web          a guest that waits before its first instruction
  hvkit debug web -- -ex 'hbreak start_kernel' -ex continue
  hvkit debug --hypervisor --gdb

In gdb, 'monitor help' lists what else the guest can be asked for.`,
    )
    .action(async (guest, gdbArguments, { port: wanted = 0, symbols, gdb = false, hypervisor, json }) => {
      if (hypervisor) return debugHypervisor([...(guest === undefined ? [] : [guest]), ...gdbArguments], { gdb, json });
      if (guest === undefined) {
        throw new HvkitError("E_USAGE", "a guest is needed, or --hypervisor", { hint: "`hvkit ps` lists the guests." });
      }
      requireGuest(guest, "CPU that could be let go on", "`hvkit dump` makes a core file of it, for gdb; `hvkit open` looks at it.");
      await withClient(async (client) => {
        const found = await client.call("inspect", { guest });
        const { symbolsOf } = await import("../../debug/symbols.js");
        const lstar = async (): Promise<bigint> => BigInt((await client.call("regs", { guest })).registers.lstar ?? "0x0");
        const given = typeof symbols === "string" ? { file: symbols, offset: 0n } : undefined;
        const file = given ?? (symbols === false ? undefined : await symbolsOf(found, lstar, note));
        const { StubServer } = await import("../../debug/server.js");
        const { RpcTarget } = await import("../../client/rpctarget.js");
        const { Client } = await import("../../client/client.js");
        // gdb that is run here needs no port that others could connect to.
        const own = (gdb || gdbArguments.length > 0) && wanted === 0 ? join(runtimePaths().folder, `gdb-${process.pid}.sock`) : undefined;
        const server = await StubServer.listen({
          at: own ?? wanted,
          attach: async () => {
            // A connection of its own is what the daemon knows a debugger by.
            return RpcTarget.attach(await Client.connect(), found.id);
          },
          monitor: guestMonitor(client, found.id),
          kill: async () => void (await client.call("kill", { guest: found.id })),
          note: (line) => note(`hvkit: ${line}`),
        });
        try {
          const target = own ?? `127.0.0.1:${server.port}`;
          if (gdb || gdbArguments.length > 0) {
            process.exitCode = await runGdb(target, file, gdbArguments);
            return;
          }
          const command = showGdb(target, file);
          if (json)
            printJson({ guest: found.name, id: found.id, host: "127.0.0.1", port: server.port, symbols: file?.file ?? null, command });
          else print(command);
          note(`hvkit: gdb may connect to ${target}; ^C ends`);
          if (await removed(client, found.id)) await server.close(GRACE_MS);
        } finally {
          await server.close();
        }
      });
    });

/** for gdb to hear that its guest was removed */
const GRACE_MS = 2000;

/** The engine's own stub: it stops the whole machine, guests and hypervisor. */
async function debugHypervisor(rest: readonly string[], { gdb, json }: { gdb: boolean; json: boolean | undefined }): Promise<void> {
  const { engine } = await call("status", {});
  if (!engine?.gdb) throw noStub(engine?.name);
  const symbols = { file: join(projectRoot(), "build/hv.elf"), offset: 0n };
  if (gdb || rest.length > 0) {
    process.exitCode = await runGdb(engine.gdb, symbols, rest);
    return;
  }
  const command = showGdb(engine.gdb, symbols);
  if (json) printJson({ socket: engine.gdb, symbols: symbols.file, command });
  else print(command);
}

function noStub(engine: string | undefined): HvkitError {
  const why =
    engine === "bochs" ? "Bochs is built with a debugger of its own, which leaves no room for a gdb stub" : "the engine has no gdb stub";
  return new HvkitError("E_DEBUG_ENGINE", `the hypervisor cannot be debugged in this engine: ${why}`, {
    hint: "Boot it in QEMU: `hvkit down`, then `hvkit up --engine qemu`.",
    data: { engine },
  });
}

/** Resolves when the guest is gone for good (true), or by ^C; a daemon that goes away is an error. */
async function removed(client: Client, id: string): Promise<boolean> {
  const gone = new Promise<boolean>((resolve, reject) => {
    client.on("event", (event) => {
      if (event.type === "guest.removed" && event.guest.id === id) resolve(true);
    });
    client.once("close", (reason) =>
      reject(new HvkitError("E_DAEMON_LOST", `the daemon went away: ${reason}`, { hint: "`hvkit status` says whether it runs." })),
    );
    interruption().addEventListener("abort", () => resolve(false));
  });
  await client.call("events.subscribe", {});
  return gone;
}
