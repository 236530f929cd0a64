// The guest beside the one that goes wrong: `state` verifies its own registers, and a MiB of its RAM has a digest that never changes.
import { expect } from "vitest";
import type { Guest } from "./guest.js";
import type { Machine } from "./machine.js";

/** images/state: RAM_AREA */
const AREA = 0x200000;
const AREA_BYTES = 0x100000;

export interface Neighbour {
  guest: Guest;
  /** Its memory is what it was, it verified itself twice more since, and nothing was wrong. */
  isUntouched(): Promise<void>;
}

export async function startNeighbour(machine: Machine): Promise<Neighbour> {
  const guest = await machine.run("state", { append: "pattern=0x5eed spins=64" });
  await guest.shows("state: round 1 ok", 30);
  const digest = (): Promise<bigint> => machine.hypervisor.guestDigest(guest.slot, AREA, AREA_BYTES);
  const before = await digest();
  return {
    guest,
    async isUntouched() {
      expect(await digest()).toBe(before);
      const round = Number([...guest.console.matchAll(/state: round (\d+) ok/g)].at(-1)?.[1]);
      await guest.shows(`state: round ${round + 2} ok`, 30);
      expect(guest.console).not.toContain("FAIL");
      expect(guest.end).toBeUndefined();
    },
  };
}
