// Which machine module each guest runs on, and so by which layout table its state is read. A swap (swap.ts) has the hypervisor's guests for itself:
// while a guest is made, loaded or saved it waits, and they wait for it. Its turn is always taken last, inside of a guest's own (Guest.exclusive), so
// that nobody waits in a circle.
import type { Layout } from "../snapshot/format.js";
import type { Host } from "./host.js";

/** A machine module in the hypervisor. */
export interface Machine {
  /** its place there; 0: the boot image's */
  slot: number;
  identity: string;
  layout: Layout;
}

export class Modules {
  #current: Machine | undefined;
  /** by the hypervisor's number for a guest */
  readonly #machines = new Map<number, Machine>();
  #inside = 0;
  #swapping: Promise<unknown> = Promise.resolve();
  #left = (): void => {};

  constructor(private readonly host: Host) {
    host.on("up", () => {
      this.#current = undefined;
      this.#machines.clear();
    });
  }

  /** New guests start on it. */
  async current(): Promise<Machine> {
    if (this.#current) return this.#current;
    const { hypervisor, layout } = this.host;
    const { places } = await hypervisor.modules.modules();
    this.#current ??= { slot: 0, identity: places[0]?.identity ?? "", layout };
    return this.#current;
  }

  use(machine: Machine): void {
    this.#current = machine;
  }

  /** A guest was made, or went over. */
  set(guest: number, machine: Machine): void {
    this.#machines.set(guest, machine);
  }

  /** Of a guest, which the hypervisor may have ended. */
  of(guest: number): Machine | undefined {
    return this.#machines.get(guest);
  }

  async layoutOf(guest: number): Promise<Layout> {
    return (this.of(guest) ?? (await this.current())).layout;
  }

  /** No guest goes over to another module meanwhile. */
  async steady<T>(work: () => Promise<T>): Promise<T> {
    for (let turn = this.#swapping; ; turn = this.#swapping) {
      await turn;
      if (turn === this.#swapping) break;
    }
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
      this.#left();
    }
  }

  /** Nobody is in steady() meanwhile, and swaps come one after another. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#swapping;
    const turn = (async () => {
      await before;
      while (this.#inside > 0) {
        await new Promise<void>((resolve) => {
          this.#left = resolve;
        });
      }
      return work();
    })();
    this.#swapping = turn.catch(() => {});
    return turn;
  }
}
