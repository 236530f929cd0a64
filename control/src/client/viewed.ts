// What is read of a guest and of a snapshot's file alike, for programs: the base of Guest (guest.ts) and of SavedFile (savedfile.ts).
import type { Code } from "../inspect/code.js";
import { cached, readLinear } from "../inspect/memory.js";
import { linearOf, type MachineView, pagingOf, type Registers, register } from "../inspect/view.js";
import { type Walk, walkPages } from "../inspect/walk.js";
import type { Dmesg } from "../linux/dmesg.js";
import { type Abortable, orAbort } from "./abort.js";

/** instructions that disasm gives by default */
const INSTRUCTIONS = 16;

export abstract class Viewed {
  /** It as the tools that look inside see it. */
  abstract view(): Promise<MachineView>;

  regs(options?: Abortable): Promise<Registers> {
    return this.#look(options, (view) => view.registers());
  }
  /** Its RAM, by guest-physical address. */
  mem(address: number, length: number, options?: Abortable): Promise<Uint8Array> {
    return this.#look(options, (view) => view.memory.read(address, length));
  }
  /** Its memory, by linear address, through its own page tables. */
  read(address: bigint, length: number, options?: Abortable): Promise<Uint8Array> {
    return this.#look(options, async (view) => readLinear(view.memory, pagingOf(await view.registers()), address, length));
  }
  /** Instructions, by default where it stands. */
  disasm(address?: bigint, count = INSTRUCTIONS, options?: Abortable): Promise<Code> {
    return this.#look(options, async (view) => {
      const registers = await view.registers();
      const { readCode } = await import("../inspect/code.js");
      return readCode(cached(view.memory), registers, address ?? linearOf(registers, "cs", register(registers, "rip")), count);
    });
  }
  /** The way of a linear address through its page tables. */
  walk(address: bigint, options?: Abortable): Promise<Walk> {
    return this.#look(options, async (view) => walkPages(view.memory, pagingOf(await view.registers()), address));
  }
  /** A Linux' own log, out of its memory. */
  dmesg(options?: Abortable): Promise<Dmesg> {
    return this.#look(options, async (view) => (await import("../linux/dmesg.js")).readDmesg(view));
  }

  async #look<T>({ signal }: Abortable = {}, look: (view: MachineView) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    return orAbort(this.view().then(look), signal);
  }
}
