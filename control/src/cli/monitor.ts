// gdb's `monitor` for a guest: some of hvkit's own commands, in the words that they print.
import type { Client } from "../client/client.js";
import { type MonitorCommand, monitorOf } from "../debug/monitor.js";
import type { Monitor } from "../debug/stub.js";
import { hex } from "../hex.js";
import type { SavedGuest } from "../offline/savedguest.js";
import { showRegisters } from "./commands/regs.js";
import { showStats } from "./commands/stats.js";
import { pairs } from "./output.js";

/** Of a snapshot there is no more to ask for than its file has. */
export function savedMonitor({ name, header, snapshot }: SavedGuest): Monitor {
  const { guest, image, memoryBytes, engine, createdAt } = header;
  return monitorOf([
    {
      name: "info",
      usage: "info",
      does: "print what the guest is",
      run: async () =>
        `${pairs([
          ["name", `${name} (${guest.id})`],
          ["image", image.name],
          ["state", "saved"],
          ["memory", `${memoryBytes / 2 ** 20} MiB`],
          ["snapshot", `${header.name}, of ${createdAt}, ${engine.vendor} on ${engine.name}`],
        ])}\n`,
    },
    {
      name: "regs",
      usage: "regs",
      does: "print all registers, as `hvkit regs`",
      run: async () => {
        const registers = Object.fromEntries(Object.entries(snapshot.registers).map(([register, value]) => [register, hex(value)]));
        return `${showRegisters({ registers, idle: snapshot.entry.halted, state: "saved" })}\n`;
      },
    },
  ]);
}

export function guestMonitor(client: Client, guest: string): Monitor {
  const commands: MonitorCommand[] = [
    {
      name: "info",
      usage: "info",
      does: "print what the guest is",
      run: async () => {
        const { name, id, image, state, memoryBytes, cpu, snapshot } = await client.call("inspect", { guest });
        return `${pairs([
          ["name", `${name} (${id})`],
          ["image", image],
          ["state", state],
          ["memory", `${memoryBytes / 2 ** 20} MiB`],
          ["CPU", cpu === null ? "none yet" : String(cpu)],
          ["restored from", snapshot?.name ?? "nothing"],
        ])}\n`;
      },
    },
    {
      name: "regs",
      usage: "regs",
      does: "print all registers, as `hvkit regs`",
      run: async () => `${showRegisters(await client.call("regs", { guest }))}\n`,
    },
    {
      name: "stats",
      usage: "stats",
      does: "print the guest's exits, as `hvkit stats`",
      run: async () => `${showStats(await client.call("stats", { guest }))}\n`,
    },
    {
      name: "pause",
      usage: "pause",
      does: "stop the guest: for gdb it stands already",
      run: async () => {
        await client.call("debug.pause", { guest });
        return "The guest stands.\n";
      },
    },
    {
      name: "reset",
      usage: "reset",
      does: "start the guest anew; this session ends with it",
      run: async () => {
        await client.call("reset", { guest });
        return "The guest was started anew. Connect again to stop it.\n";
      },
    },
  ];
  return monitorOf(commands);
}
