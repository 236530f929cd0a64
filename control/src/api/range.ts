// A range of a guest's RAM, checked before anything is done with it: by the daemon, and by commands that ask for it in pieces.
import { HvkitError } from "../errors.js";

export function checkRange(guest: { name: string; memoryBytes: number }, address: number | bigint, length: number): void {
  const { name, memoryBytes } = guest;
  if (BigInt(address) + BigInt(length) <= BigInt(memoryBytes)) return;
  throw new HvkitError("E_ADDRESS", `0x${address.toString(16)} and ${length} bytes on are not inside the guest's RAM`, {
    hint: `Guest '${name}' has RAM from 0x0 to 0x${(memoryBytes - 1).toString(16)}.`,
    data: { address: typeof address === "bigint" ? `0x${address.toString(16)}` : address, length, memoryBytes },
  });
}
