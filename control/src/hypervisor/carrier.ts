// A guest that is never started, in whose RAM a machine module comes into the hypervisor, and the moves for the guests that go over to it. Below
// daemon/swap.ts, which says which guests do.
import { ModuleLimit } from "../../../protocol/module.js";
import { HvkitError } from "../errors.js";
import type { HypervisorClient } from "./hypervisor.js";
import { encodeMoves, type RegionMove } from "./modules.js";

/** the least RAM that a guest has */
const RAM_BYTES = 2 * 2 ** 20;
/** where the room for an old instance lies, with the moves behind it; the module lies at 0 */
const ROOM_AT = 2 ** 20;
const PAGE = 4096;

export class Carrier {
  #moves = 0;

  static async make(hypervisor: HypervisorClient): Promise<Carrier> {
    return new Carrier(hypervisor, (await hypervisor.guestCreate({ memoryBytes: RAM_BYTES, wallSeconds: 0 })).guest);
  }

  private constructor(
    private readonly hypervisor: HypervisorClient,
    readonly guest: number,
  ) {}

  /** Into a place that nobody uses. */
  async load(module: Uint8Array, slot: number): Promise<void> {
    const bytes = Math.ceil(module.length / PAGE) * PAGE;
    if (bytes > ModuleLimit.Bytes) {
      throw new HvkitError("E_SWAP_MODULE", `the module has ${module.length} bytes; a place for one has ${ModuleLimit.Bytes}`, {
        hint: "A larger one needs a restart: `hvkit down`, `hvkit up`.",
      });
    }
    await this.hypervisor.guestPut(this.guest, 0, module);
    await this.hypervisor.modules.moduleLoad(this.guest, 0, bytes, slot);
  }

  /** Of the guests that go over from now on. */
  async setMoves(moves: readonly RegionMove[]): Promise<void> {
    if (moves.length > 0) await this.hypervisor.guestPut(this.guest, ROOM_AT + ModuleLimit.SwapRoom, encodeMoves(moves));
    this.#moves = moves.length;
  }

  /** A guest goes over to the module in a place, or keeps what it has. */
  async swap(guest: number, slot: number): Promise<void> {
    await this.hypervisor.modules.guestSwap(guest, slot, this.guest, ROOM_AT, this.#moves);
  }

  async remove(): Promise<void> {
    await this.hypervisor.guestDestroy(this.guest);
  }
}
