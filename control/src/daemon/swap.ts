// Another machine module for the guests that run: it comes into the hypervisor in the RAM of a guest that is never started, the carrier, and each
// guest goes over between two of its exits. Its state is carried over by both modules' layout tables; where that cannot be, or where the new module
// fails, it keeps the module that it has, and the result says why.
import { ModuleLimit } from "../../../protocol/module.js";
import type { Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import { encodeMoves, type ModuleInfo, type ModulePlace, type RegionMove, readModule } from "../hypervisor/modules.js";
import { describeEnd } from "../hypervisor/texts.js";
import { type Layout, layoutSchema } from "../snapshot/format.js";
import { type Moves, notZero, planMoves } from "../snapshot/moves.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import type { Host } from "./host.js";
import type { Log } from "./log.js";
import type { Machine, Modules } from "./modules.js";

type Swapped = Result<"swap">["guests"][number];

/** the least RAM that a guest has */
const CARRIER_BYTES = 2 * 2 ** 20;
/** in the carrier: the module, then the room for an old instance with the moves behind it */
const ROOM_AT = 2 ** 20;
const PAGE = 4096;

export class Swaps {
  constructor(
    private readonly host: Host,
    private readonly guests: Guests,
    private readonly modules: Modules,
    private readonly log: Log,
  ) {}

  /** Where the next module would lie, and for which base it must be made. */
  async place(): Promise<Result<"swap.place">> {
    const { base, places } = await this.host.hypervisor.modules.modules();
    const free = places.find((place) => isFree(place));
    if (!free) throw this.#full(places);
    return { slot: free.slot, address: free.address, bytes: ModuleLimit.Bytes, base };
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
      const slot = await this.#slotFor(info);
      const { hypervisor } = this.host;
      const { guest: carrier } = await hypervisor.guestCreate({ memoryBytes: CARRIER_BYTES, wallSeconds: 0 });
      try {
        const bytes = Math.ceil(module.length / PAGE) * PAGE;
        if (bytes > ModuleLimit.Bytes) throw tooLarge(module.length);
        await hypervisor.guestPut(carrier, 0, module);
        await hypervisor.modules.moduleLoad(carrier, 0, bytes, slot);
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
        await hypervisor.guestDestroy(carrier).catch((error: unknown) => this.log.warn({ err: error }, "carrier"));
      }
    });
  }

  async #slotFor({ base, address }: ModuleInfo): Promise<number> {
    const info = await this.host.hypervisor.modules.modules();
    if (base !== info.base) {
      throw new HvkitError("E_SWAP_BASE", `the module was made for another hypervisor (${base}) than the one that runs (${info.base})`, {
        hint: "More than hv/machine has changed: restart it with `hvkit down` and `hvkit up`, or by `hvkit dev` without --live.",
        data: { base, running: info.base },
      });
    }
    const place = info.places.find((candidate) => candidate.address === address);
    if (place && isFree(place)) return place.slot;
    if (!info.places.some((candidate) => isFree(candidate))) throw this.#full(info.places);
    throw new HvkitError("E_SWAP_PLACE", `the module was linked for ${address.toString(16).toUpperCase()}h, where no free place is`, {
      hint: "Ask for the place anew, and link it again.",
      data: { address, places: info.places },
    });
  }

  async #swapAll(carrier: number, machine: Machine): Promise<Swapped[]> {
    const results: Swapped[] = [];
    let planned: { from: Layout; plan: Moves; moves: number } | undefined;
    for (const guest of this.guests.all()) {
      const { slot } = guest;
      if (slot === undefined || (guest.state !== "running" && guest.state !== "paused")) continue;
      const from = await this.modules.layoutOf(slot);
      if (planned?.from !== from) planned = await this.#plan(carrier, from, machine.layout);
      const begun = performance.now();
      const error = await this.#swapOne(guest, slot, carrier, machine, planned);
      if (error === "gone") continue;
      results.push({ id: guest.id, name: guest.name, ms: performance.now() - begun, error });
    }
    return results;
  }

  /** The moves are in the carrier; not if there are differences. */
  async #plan(carrier: number, from: Layout, to: Layout): Promise<{ from: Layout; plan: Moves; moves: number }> {
    const plan = planMoves(from, to);
    const moves: RegionMove[] = [...plan.gone.map(({ from: at, bytes }) => ({ from: at, to: undefined, bytes })), ...joined(plan.moves)];
    if (moves.length > 0) await this.host.hypervisor.guestPut(carrier, ROOM_AT + ModuleLimit.SwapRoom, encodeMoves(moves));
    return { from, plan, moves: moves.length };
  }

  async #swapOne(
    guest: Guest,
    slot: number,
    carrier: number,
    machine: Machine,
    { plan, moves }: { plan: Moves; moves: number },
  ): Promise<Swapped["error"] | "gone"> {
    if (plan.differences.length > 0) return { code: "E_SWAP_STATE", message: `its state does not fit: ${plan.differences.join("; ")}` };
    try {
      await this.host.hypervisor.modules.guestSwap(slot, machine.slot, carrier, ROOM_AT, moves);
    } catch (error) {
      if (guest.slot !== slot || !(error instanceof HvkitError)) throw error;
      return reasonOf(error, plan);
    }
    this.modules.set(slot, machine);
    return null;
  }

  #full(places: readonly ModulePlace[]): HvkitError {
    const holding = places.map(({ slot, identity }) => {
      const names = this.guests.all().filter((guest) => guest.slot !== undefined && this.modules.of(guest.slot)?.slot === slot);
      return `${identity ?? "none"}: ${names.map(({ name }) => name).join(", ") || "new guests"}`;
    });
    return new HvkitError(
      "E_SWAP_FULL",
      `guests run on all ${places.length} modules that the hypervisor has room for (${holding.join("; ")})`,
      {
        hint: "`hvkit reset` starts a guest on the newest one.",
      },
    );
  }
}

/** Place 0 is the image's. */
const isFree = ({ slot, guests, current }: ModulePlace): boolean => slot > 0 && guests === 0 && !current;

/** Why a guest keeps its module; "gone": it has ended meanwhile, or is being started. */
function reasonOf(error: HvkitError, { gone }: Moves): Swapped["error"] | "gone" {
  const words = (error.data?.words as string[] | undefined)?.map((word) => BigInt(word)) ?? [];
  switch (error.code) {
    case "E_HV_BAD_STATE":
    case "E_HV_NO_SUCH_GUEST":
      return "gone";
    case "E_HV_STATE_NOT_ZERO": {
      const field = gone.find(({ from }) => BigInt(from) === words[0]);
      return { code: "E_SWAP_STATE", message: `its state does not fit: ${notZero(field?.name ?? `offset ${words[0] ?? 0n}`)}` };
    }
    case "E_HV_ENDED":
      return {
        code: "E_SWAP_FAILED",
        message: `the new module failed as it took over: ${describeEnd(Number(words[0] ?? 0n), words[1] ?? 0n)}`,
      };
    case "E_HV_RECORD_REFUSED":
    case "E_HV_CPU_LACKS":
      return { code: "E_SWAP_FAILED", message: `the new module refused its state: ${error.message}` };
    default:
      throw error;
  }
}

/** What lies side by side in both regions goes at once. */
function joined(moves: Moves["moves"]): RegionMove[] {
  const result: { from: number; to: number; bytes: number }[] = [];
  for (const move of moves) {
    const last = result.at(-1);
    if (last && last.from + last.bytes === move.from && last.to + last.bytes === move.to) last.bytes += move.bytes;
    else result.push({ ...move });
  }
  return result;
}

function tooLarge(bytes: number): HvkitError {
  return new HvkitError("E_SWAP_MODULE", `the module has ${bytes} bytes; a place for one has ${ModuleLimit.Bytes}`, {
    hint: "A larger one needs a restart: `hvkit down`, `hvkit up`.",
  });
}
