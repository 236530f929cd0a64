// The recorded exits of a guest in a contract test, neutral.
import type { TracedExit } from "../../../control/src/api/trace.js";
import { neutralExit } from "../../../control/src/trace/exit.js";
import type { Guest } from "./guest.js";
import type { Machine } from "./machine.js";

/** From number `from` on; and how many there were. */
export async function tracedExits({ hypervisor }: Machine, { slot }: Guest, from = 0): Promise<{ exits: TracedExit[]; count: number }> {
  const { vendor, tscKhz } = hypervisor.hello;
  const { firstEntryTsc } = await hypervisor.guestStat(slot);
  const context = { vendor, tscKhz, firstEntryTsc, reasons: await hypervisor.guestReasons(slot) };
  const { count } = await hypervisor.guestTraced(slot);
  const exits: TracedExit[] = [];
  for (let next = from; next < count; next = (exits.at(-1)?.index ?? count) + 1) {
    exits.push(...(await hypervisor.guestTraced(slot, next)).exits.map((raw) => neutralExit(raw, context)));
  }
  return { exits, count };
}
