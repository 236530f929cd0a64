// hvkit debug: a port that gdb connects to, for a guest, for one in a snapshot, or for the hypervisor itself; and gdb, wired to it.
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { makeRuntimeFolder, runtimePaths } from "../../api/paths.js";
import { projectRoot } from "../../api/root.js";
import { HvkitError } from "../../errors.js";
import { type Debuggee, liveDebuggee, savedDebuggee } from "../debuggee.js";
import { runGdb, showGdb } from "../gdb.js";
import { note, print, printJson } from "../output.js";
import { call, withClient } from "../session.js";
import { isSaved, SUBJECT, withSavedSubject } from "../subject.js";

const MAX_PORT = 65535;

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= MAX_PORT) return port;
  throw new HvkitError("E_USAGE", `'${text}' is no TCP port`, { hint: `A port is a number from 0 (any that is free) to ${MAX_PORT}.` });
}

export const debug = () =>
  new Command("debug")
    .description("debug a guest with gdb, or the hypervisor itself")
    .argument("[guest-or-snapshot]", SUBJECT)
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
  hvkit debug ./web.hvsnap -- -batch -ex bt       where a saved guest stands, with no hypervisor
  hvkit debug --hypervisor --gdb

A snapshot is read: its memory, its registers. It is not changed, and does not go on. In gdb, 'monitor help' lists what else the guest can be asked for.`,
    )
    .action(async (guest, gdbArguments, { port: wanted = 0, symbols = true, gdb = false, hypervisor, json }) => {
      if (hypervisor) return debugHypervisor([...(guest === undefined ? [] : [guest]), ...gdbArguments], { gdb, json });
      if (guest === undefined) {
        throw new HvkitError("E_USAGE", "a guest is needed, or --hypervisor", { hint: "`hvkit ps` lists the guests." });
      }
      const how = { port: wanted, gdb, rest: gdbArguments, json: json === true };
      if (isSaved(guest)) {
        await withSavedSubject(guest, async (subject) => serve(await savedDebuggee(subject, guest, symbols), how));
      } else await withClient(async (client) => serve(await liveDebuggee(client, guest, symbols), how));
    });

interface How {
  port: number;
  gdb: boolean;
  /** for gdb */
  rest: readonly string[];
  json: boolean;
}

async function serve(debuggee: Debuggee, { port, gdb, rest, json }: How): Promise<void> {
  const { name, id, symbols, attach, monitor, kill, gone } = debuggee;
  const { StubServer } = await import("../../debug/server.js");
  // gdb that is run here needs no port that others could connect to.
  const own = (gdb || rest.length > 0) && port === 0 ? ownSocket() : undefined;
  const server = await StubServer.listen({ at: own ?? port, attach, monitor, kill, note: (line) => note(`hvkit: ${line}`) });
  try {
    const target = own ?? `127.0.0.1:${server.port}`;
    if (gdb || rest.length > 0) {
      process.exitCode = await runGdb(target, symbols, rest);
      return;
    }
    const command = showGdb(target, symbols);
    if (json) printJson({ guest: name, id, host: "127.0.0.1", port: server.port, symbols: symbols?.file ?? null, command });
    else print(command);
    note(`hvkit: gdb may connect to ${target}; ^C ends`);
    if (await gone()) await server.close(GRACE_MS);
  } finally {
    await server.close();
  }
}

/** In the folder that is this user's alone, which is there while a daemon is up. */
function ownSocket(): string {
  const { folder } = runtimePaths();
  makeRuntimeFolder(folder);
  return join(folder, `gdb-${process.pid}.sock`);
}

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
