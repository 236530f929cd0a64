// What the methods of api/lookmethods.ts do: they ask the hypervisor, and name what it answers.
import { Vendor } from "../../../protocol/messages.js";
import { ExitField } from "../../../protocol/state.js";
import { hex } from "../hex.js";
import { registerName } from "../hypervisor/texts.js";
import { readRecords } from "../inspect/records.js";
import type { Handlers } from "./connection.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Host } from "./host.js";
import type { Modules } from "./modules.js";

export function makeLookHandlers(
  host: Host,
  guests: Guests,
  modules: Modules,
  slotOf: (guest: Guest) => number,
): Pick<Handlers, "machine" | "nested" | "exit"> {
  const named = async (guest: Guest) => {
    await guests.refresh(guest);
    const { id, name, state, idle } = guest.summary();
    return { id, name, state, idle };
  };
  return {
    machine: async (params) => {
      const guest = guests.find(params.guest);
      const slot = slotOf(guest);
      const [layout, { clockNs, halted, inject, events, inputBytes, region }] = await modules.steady(async () => [
        await modules.layoutOf(slot),
        await host.hypervisor.guestMachine(slot),
      ]);
      const records = Object.entries(readRecords(layout, region)).map(([record, fields]) => {
        const texts = Object.entries(fields).map(([name, value]) => [name, typeof value === "bigint" ? String(value) : value.map(String)]);
        return [record, Object.fromEntries(texts)];
      });
      return {
        ...(await named(guest)),
        clockNs: String(clockNs),
        halted,
        inject: hex(inject),
        events,
        inputBytes,
        records: Object.fromEntries(records),
      };
    },
    nested: async ({ guest: reference, address }) => {
      const guest = guests.find(reference);
      const { hypervisor } = host;
      const { root, entries } = await hypervisor.guestNested(slotOf(guest), address);
      const tables = hypervisor.hello.vendor === Vendor.Vmx ? "EPT" : "NPT";
      return { id: guest.id, name: guest.name, tables, root: hex(root), entries: entries.map(hex) };
    },
    exit: async (params) => {
      const guest = guests.find(params.guest);
      const values = await host.hypervisor.guestExit(slotOf(guest));
      const fields = Object.fromEntries(values.map((value, index) => [registerName(ExitField.Qualification + index), hex(value)]));
      return { ...(await named(guest)), fields, end: guest.end ?? null };
    },
  };
}
