// Another machine module for the guests that run: it comes into the hypervisor in the RAM of a guest that is never started, the carrier, and each
// guest goes over between two of its exits. Its state is carried over by both modules' layout tables; where that cannot be, or where the new module
// fails, it keeps the module that it has, and the result says why. A module that is there already, by the digest of its sources, is not loaded again.
import { EventEmitter } from "node:events";
import { ModuleLimit } from "../../../protocol/module.js";
import type { Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import { Carrier } from "../hypervisor/carrier.js";
import { type ModuleInfo, type ModulePlace, readModule } from "../hypervisor/modules.js";
import { describeEnd } from "../hypervisor/texts.js";
import { type Layout, layoutSchema } from "../snapshot/format.js";
import { type Moves, notZero, planMoves, regionMoves } from "../snapshot/moves.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Host } from "./host.js";
import type { Log } from "./log.js";
import type { Machine, Modules } from "./modules.js";

type Swapped = Result<"swap">["guests"][number];

export class Swaps extends EventEmitter<{ swapped: [guest: Guest, machine: Machine] }> {
  constructor(
    private readonly host: Host,
    private readonly guests: Guests,
    private readonly modules: Modules,
    private readonly log: Log,
  ) {
    super();
  }

  /** Where a module lies, or would lie when it is loaded, and for which base it must be made. @param identity of the module, if it is known by now */
  async place(identity: string | undefined): Promise<Result<"swap.place">> {
    const { base, places } = await this.host.hypervisor.modules.modules();
    const place = places.find((candidate) => isOf(candidate, identity)) ?? places.find((candidate) => isFree(candidate));
    if (!place) throw this.#full(places);
    return { slot: place.slot, address: place.address, bytes: ModuleLimit.Bytes, base };
  }

  async swap(module: Uint8Array, table: unknown): Promise<Result<"swap">> {
    const info = readModule(module);
    const { data: layout } = layoutSchema.safeParse(table);
    if (!info || !layout) {
      throw new HvkitError("E_SWAP_MODULE", `what was sent is no ${info ? "layout table" : "machine module"}`, {
        hint: "`hvkit dev --live` makes a module, and its table.",
      });
    }
    return this.modules.alone(async () => {
      const begun = performance.now();
      const { slot, isThere } = await this.#slotFor(info);
      const { hypervisor } = this.host;
      const carrier = await Carrier.make(hypervisor);
      try {
        if (!isThere) await carrier.load(module, slot);
        const machine = { slot, identity: info.identity, layout };
        const guests = await this.#swapAll(carrier, machine);
        // A module that no guest could go over to for its own fault is not for new ones either.
        const fits = guests.length === 0 || guests.some(({ error }) => error === null || error.code === "E_SWAP_STATE");
        if (fits) {
          await hypervisor.modules.moduleUse(slot);
          this.modules.use(machine);
        }
        this.log.info({ module: info.identity, slot, guests, newGuests: fits }, "modules were swapped");
        return { module: info.identity, slot, newGuests: fits, ms: performance.now() - begun, guests };
      } finally {
        await carrier.remove().catch((error: unknown) => this.log.warn({ err: error }, "carrier"));
      }
    });
  }

  async #slotFor({ base, address, identity }: ModuleInfo): Promise<{ slot: number; isThere: boolean }> {
    const info = await this.host.hypervisor.modules.modules();
    if (base !== info.base) {
      throw new HvkitError("E_SWAP_BASE", `the module was made for another hypervisor (${base}) than the one that runs (${info.base})`, {
        hint: "More than hv/machine has changed: restart it with `hvkit down` and `hvkit up`, or by `hvkit dev` without --live.",
        data: { base, running: info.base },
      });
    }
    const there = info.places.find((candidate) => isOf(candidate, identity));
    if (there) return { slot: there.slot, isThere: true };
    const place = info.places.find((candidate) => candidate.address === address);
    if (place && isFree(place)) return { slot: place.slot, isThere: false };
    if (!info.places.some((candidate) => isFree(candidate))) throw this.#full(info.places);
    throw new HvkitError("E_SWAP_PLACE", `the module was linked for ${address.toString(16).toUpperCase()}h, where no free place is`, {
      hint: "Ask for the place anew, and link it again.",
      data: { address, places: info.places },
    });
  }

  async #swapAll(carrier: Carrier, machine: Machine): Promise<Swapped[]> {
    const results: Swapped[] = [];
    let planned: { from: Layout; plan: Moves } | undefined;
    for (const guest of this.guests.all()) {
      const { slot } = guest;
      if (slot === undefined || (guest.state !== "running" && guest.state !== "paused")) continue;
      const { slot: place, layout: from } = this.modules.of(slot) ?? (await this.modules.current());
      if (place === machine.slot) continue; // it runs on it
      if (planned?.from !== from) {
        planned = { from, plan: planMoves(from, machine.layout) };
        await carrier.setMoves(regionMoves(planned.plan));
      }
      const begun = performance.now();
      const error = await this.#swapOne(guest, slot, carrier, machine, planned.plan);
      if (error === "gone") continue;
      if (error === null) this.emit("swapped", guest, machine);
      results.push({ id: guest.id, name: guest.name, ms: performance.now() - begun, error });
    }
    return results;
  }

  async #swapOne(guest: Guest, slot: number, carrier: Carrier, machine: Machine, plan: Moves): Promise<Swapped["error"] | "gone"> {
    if (plan.differences.length > 0) return { code: "E_SWAP_STATE", message: `its state does not fit: ${plan.differences.join("; ")}` };
    try {
      await carrier.swap(slot, machine.slot);
    } catch (error) {
      if (guest.slot !== slot || !(error instanceof HvkitError)) throw error;
      return reasonOf(error, plan, machine.layout);
    }
    this.modules.set(slot, machine);
    return null;
  }

  #full(places: readonly ModulePlace[]): HvkitError {
    const holding = places.map(({ slot, identity, current, guests }) => {
      const here = this.guests.all().filter((guest) => guest.slot !== undefined && this.modules.of(guest.slot)?.slot === slot);
      const who = [...here.map(({ name }) => name), ...(current ? ["new guests"] : [])];
      // What the hypervisor counts beyond those: a snapshot that is being copied from.
      const others = guests > here.length ? "guests that are being made" : "no guest";
      return `${identity ?? "none"}${slot === 0 ? " (the image's)" : ""}: ${who.join(", ") || others}`;
    });
    return new HvkitError(
      "E_SWAP_FULL",
      `all ${places.length - 1} places for modules beside the image's are in use (${holding.join("; ")})`,
      {
        hint: "`hvkit reset` starts a guest on the newest one; the place that the last guest has left is free.",
      },
    );
  }
}

const isOf = (place: ModulePlace, identity: string | undefined): boolean => identity !== undefined && place.identity === identity;

/** Place 0 is the image's. */
const isFree = ({ slot, guests, current }: ModulePlace): boolean => slot > 0 && guests === 0 && !current;

/** Why a guest keeps its module; "gone": it has ended meanwhile, or is being started. */
function reasonOf(error: HvkitError, { gone }: Moves, { records }: Layout): Swapped["error"] | "gone" {
  const words = (error.data?.words as string[] | undefined)?.map((word) => BigInt(word)) ?? [];
  switch (error.code) {
    case "E_HV_BAD_STATE":
    case "E_HV_NO_SUCH_GUEST":
      return "gone";
    case "E_HV_NO_MEMORY":
      return { code: "E_SWAP_FAILED", message: "there is no memory for what it shares with a copy" };
    case "E_HV_STATE_NOT_ZERO": {
      const field = gone.find(({ from }) => BigInt(from) === words[0]);
      return { code: "E_SWAP_STATE", message: `its state does not fit: ${notZero(field?.name ?? `offset ${words[0] ?? 0n}`)}` };
    }
    case "E_HV_ENDED":
      return {
        code: "E_SWAP_FAILED",
        message: `the new module failed as it took over: ${describeEnd(Number(words[0] ?? 0n), words[1] ?? 0n)}`,
      };
    case "E_HV_RECORD_REFUSED": {
      const record = records.find(({ address }) => BigInt(address) === words[0]);
      const name = record?.record ?? `the record at ${words[0] ?? 0n}`;
      return { code: "E_SWAP_FAILED", message: `the new module refused its state: no machine is ever in the state that ${name} says` };
    }
    case "E_HV_CPU_LACKS":
      return { code: "E_SWAP_FAILED", message: `the new module refused its state: ${error.message}` };
    default:
      throw error;
  }
}
