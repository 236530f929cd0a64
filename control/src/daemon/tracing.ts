// A guest's recorded exits for clients: asked for part by part, made neutral (control/src/trace).
import { ExitReason } from "../../../protocol/state.js";
import { TraceMode } from "../../../protocol/trace.js";
import { MAX_EXITS } from "../api/methods.js";
import type { Trace, TraceModes } from "../api/trace.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";
import { exitReasonName, vendorName } from "../hypervisor/texts.js";
import type { RawExit } from "../hypervisor/traced.js";
import { neutralExit } from "../trace/exit.js";
import type { Guest } from "./guest.js";

/** Every machine of a build has the same table. */
const tables = new WeakMap<HypervisorClient, Uint8Array>();

/** The exits from number `from` on, or the last ones: at most MAX_EXITS. */
export async function trace(
  hypervisor: HypervisorClient,
  guest: Guest,
  slot: number,
  { from, last }: { from?: number | undefined; last: number },
): Promise<Trace> {
  const { firstEntryTsc, traceModes } = await hypervisor.guestStat(slot);
  const { count } = await hypervisor.guestTraced(slot);
  const raw = await collect(hypervisor, slot, from ?? Math.max(0, count - last), count);
  const { vendor, tscKhz } = hypervisor.hello;
  const reasons = tables.get(hypervisor) ?? (await hypervisor.guestReasons(slot));
  tables.set(hypervisor, reasons);
  const exits = raw.map((exit) => neutralExit(exit, { vendor, reasons, firstEntryTsc, tscKhz }));
  const newest = exits.at(-1);
  // The handler of a guest's last exit trapped: nobody wrote down its verdict.
  if (newest?.index === count - 1 && guest.end?.code.startsWith("trap-")) newest.verdict = "trap";
  if (newest?.index === count - 1 && newest.reason === exitReasonName(ExitReason.NestedFault) && guest.end)
    newest.address = guest.end.value;
  return { id: guest.id, name: guest.name, state: guest.state, vendor: vendorName(vendor), modes: modesOf(traceModes), count, exits };
}

/** A guest that makes them faster than the line carries them is not run after. */
async function collect(hypervisor: HypervisorClient, slot: number, from: number, count: number): Promise<RawExit[]> {
  const found: RawExit[] = [];
  for (let next = from; next < count && found.length < MAX_EXITS; ) {
    const { exits } = await hypervisor.guestTraced(slot, next);
    if (exits.length === 0) break;
    found.push(...exits);
    next = (exits.at(-1)?.index ?? next) + 1;
  }
  return found.filter(({ index }) => index < count).slice(0, MAX_EXITS);
}

/** What is left out stays as it is. */
export async function setTrace(
  hypervisor: HypervisorClient,
  slot: number,
  { ring, time }: { ring?: boolean | undefined; time?: boolean | undefined },
): Promise<TraceModes> {
  const before = modesOf((await hypervisor.guestStat(slot)).traceModes);
  const modes = { ring: ring ?? before.ring, time: time ?? before.time };
  await hypervisor.guestTrace(slot, (modes.ring ? TraceMode.Ring : 0) | (modes.time ? TraceMode.Time : 0));
  return modes;
}

function modesOf(bits: number): TraceModes {
  return { ring: (bits & TraceMode.Ring) !== 0, time: (bits & TraceMode.Time) !== 0 };
}
