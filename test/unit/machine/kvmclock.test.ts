// KVM's clock: what a guest computes from the structures is guest.clock(), at any frequency and after its TSC was written.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Register } from "../../../protocol/state.js";
import { Guest, VENDORS } from "./guest.js";

const WALL_CLOCK = 0x4b564d00;
const SYSTEM_TIME = 0x4b564d01;
const TSC = 0x10;
const AT = 0x8040;
const RAM = 4 << 20;
const GP = { vector: 13, type: 3, error: 0 };

/** msr.rst's formula, as a guest computes it with 128 bits. */
function nanoseconds(ram: Buffer, tsc: bigint, at = AT): bigint {
  const delta = tsc - ram.readBigUInt64LE(at + 8);
  const shift = ram.readInt8(at + 28);
  const scaled = shift < 0 ? delta >> BigInt(-shift) : delta << BigInt(shift);
  return ram.readBigUInt64LE(at + 16) + ((scaled * BigInt(ram.readUInt32LE(at + 24))) >> 32n);
}

describe.each(VENDORS)("the KVM clock on %s", (_name, vendor) => {
  test("system time: the structure, as it is written", () => {
    const guest = new Guest({ vendor });
    guest.now = 5_000_000_007n;
    guest.set(Register.Tsc, 10_000_000_014n);
    guest.ram.fill(0xee, AT - 8, AT + 40);
    guest.ram.writeUInt32LE(6, AT);
    expect(guest.wrmsr(SYSTEM_TIME, BigInt(AT) | 1n)).toBe(true);
    expect(guest.ram.readUInt32LE(AT)).toBe(8);
    expect(guest.ram.readBigUInt64LE(AT + 8)).toBe(10_000_000_014n);
    expect(guest.ram.readBigUInt64LE(AT + 16)).toBe(5_000_000_007n);
    // Half a nanosecond a tick: 2^31 * 2^(0 - 32).
    expect(guest.ram.readUInt32LE(AT + 24)).toBe(0x8000_0000);
    expect([...guest.ram.subarray(AT + 28, AT + 32)]).toEqual([0, 1, 0, 0]);
    expect(guest.ram.readBigUInt64LE(AT - 8)).toBe(0xeeee_eeee_eeee_eeeen);
    expect(guest.ram.readBigUInt64LE(AT + 32)).toBe(0xeeee_eeee_eeee_eeeen);
    expect(guest.rdmsr(SYSTEM_TIME)).toBe(BigInt(AT) | 1n);
  });

  test("wall clock: the time at which clock() was 0", () => {
    const guest = new Guest({ vendor, wallSeconds: 1_700_000_000n });
    guest.now = 90_000_000_000n;
    guest.ram.writeUInt32LE(3, AT);
    guest.ram.fill(0xee, AT + 12, AT + 16);
    expect(guest.wrmsr(WALL_CLOCK, BigInt(AT))).toBe(true);
    expect([0, 4, 8, 12].map((offset) => guest.ram.readUInt32LE(AT + offset))).toEqual([4, 1_700_000_000, 0, 0xeeee_eeee]);
    expect(guest.rdmsr(WALL_CLOCK)).toBe(BigInt(AT));
  });

  test("both read 0 until they are written; a clear bit 0 takes the structure back", () => {
    const guest = new Guest({ vendor });
    expect(guest.rdmsr(WALL_CLOCK)).toBe(0n);
    expect(guest.rdmsr(SYSTEM_TIME)).toBe(0n);
    expect(guest.wrmsr(SYSTEM_TIME, BigInt(AT) | 1n)).toBe(true);
    guest.ram.fill(0, AT, AT + 32);
    for (const value of [BigInt(AT), 0n, 0xffff_ffff_ffff_fff6n]) {
      expect(guest.wrmsr(SYSTEM_TIME, value)).toBe(true);
      expect(guest.rdmsr(SYSTEM_TIME)).toBe(value);
      expect(guest.wrmsr(TSC, 77n)).toBe(true);
    }
    expect(guest.wrmsr(WALL_CLOCK, 0n)).toBe(true);
    expect(guest.ram.subarray(AT, AT + 32).every((byte) => byte === 0)).toBe(true);
    expect(guest.ram.readUInt32LE(0)).toBe(0);
  });

  test.each([
    ["past the end", RAM],
    ["last byte outside, system time", RAM - 28, SYSTEM_TIME],
    ["last byte outside, wall clock", RAM - 8, WALL_CLOCK],
    ["wraps", 0xffff_ffff_ffff_fffcn],
    ["not at a multiple of four", AT + 2],
  ])("%s: #GP, and nothing has changed", (_case, address, only?: number) => {
    const guest = new Guest({ vendor });
    for (const msr of only === undefined ? [WALL_CLOCK, SYSTEM_TIME] : [only]) {
      const before = Buffer.from(guest.ram);
      guest.set(Register.Rip, 0x100000);
      expect(guest.wrmsr(msr, BigInt(address) | (msr === SYSTEM_TIME ? 1n : 0n))).toBe(false);
      expect(guest.injected).toEqual(GP);
      expect(guest.rdmsr(msr)).toBe(0n);
      // But for the instructions themselves.
      for (const ram of [before, guest.ram]) ram.fill(0, 0x100000, 0x100010);
      expect(guest.ram.equals(before)).toBe(true);
    }
    expect(guest.ended).toBeUndefined();
  });

  test("the last bytes of RAM will do", () => {
    const guest = new Guest({ vendor });
    expect(guest.wrmsr(SYSTEM_TIME, BigInt(RAM - 32) | 1n)).toBe(true);
    expect(guest.wrmsr(WALL_CLOCK, BigInt(RAM - 12))).toBe(true);
  });

  test("a guest that writes its TSC keeps its time", () => {
    const guest = new Guest({ vendor });
    guest.now = 1_000_000n;
    guest.set(Register.Tsc, 2_000_000n);
    guest.wrmsr(SYSTEM_TIME, BigInt(AT) | 1n);
    guest.now = 3_000_000n;
    guest.wrmsr(TSC, 0n);
    expect(guest.ram.readUInt32LE(AT)).toBe(4);
    expect(nanoseconds(guest.ram, 0n)).toBe(3_000_000n);
    expect(nanoseconds(guest.ram, 2_000_000n)).toBe(4_000_000n);
  });
});

property.prop([fc.integer({ min: 10, max: 100_000_000 }), fc.bigInt({ min: 0n, max: 1n << 50n })], { numRuns: 50 })(
  "10 kHz to 100 GHz: an hour later the guest's time is off by less than a part in a million",
  (tscKhz, now) => {
    const guest = new Guest({ tscKhz, ramBytes: 2 << 20 });
    const tsc = (now * BigInt(tscKhz)) / 1_000_000n;
    guest.now = now;
    guest.set(Register.Tsc, tsc);
    expect(guest.wrmsr(SYSTEM_TIME, BigInt(AT) | 1n)).toBe(true);
    expect(nanoseconds(guest.ram, tsc)).toBe(guest.now);
    expect(guest.ram.readUInt32LE(AT + 24)).toBeGreaterThanOrEqual(0x8000_0000);
    const hour = 3_600_000_000_000n;
    const error = nanoseconds(guest.ram, tsc + BigInt(tscKhz) * 3_600_000n) - guest.now - hour;
    expect(error < 0n ? -error : error).toBeLessThan(hour / 1_000_000n);
  },
);
