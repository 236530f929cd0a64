// The debugger's breakpoints and watchpoints: a software breakpoint is an address, the others share the CPU's four debug registers
// (SDM vol. 3, 18.2.4). An area longer than one register watches takes more of them.
import { HvkitError } from "../errors.js";

/** As gdb's Z packets number them. */
export enum BreakpointType {
  Software = 0,
  Hardware = 1,
  Write = 2,
  Read = 3,
  Access = 4,
}

export interface Breakpoint {
  type: BreakpointType;
  /** linear */
  address: bigint;
  /** bytes; of an instruction breakpoint it says nothing */
  length: number;
}

/** One of the CPU's four. */
interface Slot {
  address: bigint;
  length: number;
  of: Breakpoint;
}

const SLOTS = 4;
/** R/W of DR7. There is no watchpoint for reads alone: an access is one. */
const KIND = {
  [BreakpointType.Hardware]: 0,
  [BreakpointType.Write]: 1,
  [BreakpointType.Read]: 3,
  [BreakpointType.Access]: 3,
} as const;
/** LEN of DR7, by bytes */
const LENGTH: Readonly<Record<number, number>> = { 1: 0, 2: 1, 4: 3, 8: 2 };

export class Breakpoints {
  readonly #all = new Map<string, Breakpoint>();
  #slots: Slot[] = [];

  /** Twice is once. E_DEBUG_BREAKPOINTS when the debug registers do not suffice; then nothing has changed. */
  add(breakpoint: Breakpoint): void {
    const key = keyOf(breakpoint);
    if (this.#all.has(key)) return;
    const slots = breakpoint.type === BreakpointType.Software ? [] : slotsOf(breakpoint);
    if (this.#slots.length + slots.length > SLOTS) {
      throw new HvkitError("E_DEBUG_BREAKPOINTS", `the CPU has ${SLOTS} debug registers, and they are taken`, {
        hint: "Remove a hardware breakpoint or a watchpoint; software breakpoints (`break`) are not limited.",
      });
    }
    this.#all.set(key, breakpoint);
    this.#slots.push(...slots);
  }

  remove(breakpoint: Breakpoint): void {
    const key = keyOf(breakpoint);
    const found = this.#all.get(key);
    if (!found) return;
    this.#all.delete(key);
    this.#slots = this.#slots.filter(({ of }) => of !== found);
  }

  clear(): void {
    this.#all.clear();
    this.#slots = [];
  }

  /** Linear addresses. */
  software(): bigint[] {
    return [...this.#all.values()].filter(({ type }) => type === BreakpointType.Software).map(({ address }) => address);
  }

  registers(): { addresses: bigint[]; dr7: number } {
    return debugRegisters(this.#slots.map(({ address, length, of }) => ({ type: of.type, address, length })));
  }

  /** What DR6's bits stand for. */
  hit(bits: number): Breakpoint | undefined {
    const index = this.#slots.findIndex((_, place) => (bits >> place) & 1);
    const slot = this.#slots[index];
    return slot && { type: slot.of.type, address: slot.of.address, length: slot.of.length };
  }

  isHardware(address: bigint): boolean {
    return this.#slots.some((slot) => slot.of.type === BreakpointType.Hardware && slot.address === address);
  }
}

/** Values of DR0 to DR3 and DR7; lengths are 1, 2, 4 or 8, addresses aligned to them. */
export function debugRegisters(breakpoints: readonly Breakpoint[]): { addresses: bigint[]; dr7: number } {
  let dr7 = 0;
  breakpoints.forEach(({ type, length }, index) => {
    if (type === BreakpointType.Software) return;
    const size = type === BreakpointType.Hardware ? 0 : (LENGTH[length] ?? 0);
    dr7 |= (2 << (index * 2)) | ((KIND[type] | (size << 2)) << (16 + index * 4));
  });
  return { addresses: breakpoints.map(({ address }) => address), dr7: dr7 >>> 0 };
}

/** The longest pieces that are aligned to their length. */
function slotsOf(of: Breakpoint): Slot[] {
  if (of.type === BreakpointType.Hardware) return [{ address: of.address, length: 1, of }];
  const slots: Slot[] = [];
  const end = of.address + BigInt(Math.max(1, of.length));
  for (let address = of.address; address < end && slots.length <= SLOTS; ) {
    const length = [8, 4, 2, 1].find((size) => address % BigInt(size) === 0n && address + BigInt(size) <= end) ?? 1;
    slots.push({ address, length, of });
    address += BigInt(length);
  }
  return slots;
}

function keyOf({ type, address, length }: Breakpoint): string {
  return `${type} ${address} ${type === BreakpointType.Software || type === BreakpointType.Hardware ? 0 : length}`;
}
