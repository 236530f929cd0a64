// RAM that a test lays out word by word, as the tools read it.
import type { PhysicalMemory } from "../../../control/src/inspect/walk.js";

/** An address, and its eight bytes, or four where the value stands in brackets, or any bytes. Of two for one address the last counts. */
export type Word = readonly [address: number, value: bigint | readonly [number] | Uint8Array];

/** RAM of `size` bytes with these words, zeros elsewhere. A read outside of it is an error: the tools ask for what is there. */
export function ramOf(words: readonly Word[], size = 0x10_0000): PhysicalMemory {
  const ram = new Uint8Array(size);
  const view = new DataView(ram.buffer);
  for (const [address, value] of words) {
    if (typeof value === "bigint") view.setBigUint64(address, value, true);
    else if (value instanceof Uint8Array) ram.set(value, address);
    else view.setUint32(address, value[0], true);
  }
  return {
    bytes: size,
    read: async (address, length) => {
      if (address < 0 || address + length > size) throw new Error(`read outside of RAM: ${address}`);
      return ram.subarray(address, address + length);
    },
  };
}
