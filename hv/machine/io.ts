// Port I/O as an exit asks for it: one access of 1, 2 or 4 bytes. An access that is wider than its device becomes byte accesses at the
// following ports, as a PC's bus does it. devices/bus.ts knows who is where.

import { deviceAt, deviceRead, deviceWrite, isWide } from "./devices/bus";

/** The value, zero-extended. */
export function ioIn(port: u32, size: u32): u32 {
  if (size == 1) return deviceRead(deviceAt(port), port);
  let value: u32 = 0;
  for (let byte: u32 = 0; byte < size; byte++) {
    const at = (port + byte) & 0xffff;
    value |= deviceRead(deviceAt(at), at) << (byte << 3);
  }
  return value;
}

/** Bits of `value` beyond the size do not matter. A guest may end itself here: power.ended of state.ts. */
export function ioOut(port: u32, size: u32, value: u32): void {
  const device = deviceAt(port);
  if (size == 1) deviceWrite(device, port, value & 0xff);
  else if (isWide(device)) deviceWrite(device, port, size == 2 ? value & 0xffff : value);
  else {
    for (let byte: u32 = 0; byte < size; byte++) {
      const at = (port + byte) & 0xffff;
      deviceWrite(deviceAt(at), at, (value >> (byte << 3)) & 0xff);
    }
  }
}
