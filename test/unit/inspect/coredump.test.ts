// The core file's bytes: its notes, its segments, its holes.
import { expect, it } from "vitest";
import { copyRam, coreNotes, finishCore, RAM_OFFSET, usedRuns } from "../../../control/src/inspect/coredump.js";
import { registerNames } from "../../../control/src/snapshot/format.js";
import { ramOf, type Word } from "./ram.js";

const registers: Record<string, bigint> = Object.fromEntries(registerNames.map((name, index) => [name, BigInt(index) * 0x1_0000_0001n]));
const off: Record<string, bigint> = { ...registers, cr0: 0x11n };

it("leaves pages of zeros out", () => {
  const bytes = new Uint8Array(5 * 4096 + 100);
  bytes[4096] = 1;
  bytes[3 * 4096 - 1] = 1;
  bytes[5 * 4096 + 99] = 1;
  expect(usedRuns(bytes)).toEqual([
    { start: 4096, end: 3 * 4096 },
    { start: 5 * 4096, end: 5 * 4096 + 100 },
  ]);
});

it("has the CPU's registers where Linux' struct has them, and QEMU's note beside it", () => {
  const notes = coreNotes(off);
  expect([notes.readUInt32LE(0), notes.readUInt32LE(4), notes.readUInt32LE(8), notes.toString("latin1", 12, 16)]).toEqual([
    5,
    336,
    1,
    "CORE",
  ]);
  const prstatus = notes.subarray(20, 20 + 336);
  const field = (index: number): bigint => prstatus.readBigUInt64LE(112 + 8 * index);
  expect([field(0), field(10), field(15), field(16), field(17), field(18), field(19)]).toEqual([
    off.r15,
    off.rax,
    0xffff_ffff_ffff_ffffn,
    off.rip,
    off["cs.selector"],
    off.rflags,
    off.rsp,
  ]);
  const qemu = notes.subarray(20 + 336 + 12 + 8);
  expect([qemu.readUInt32LE(0), qemu.readUInt32LE(4), qemu.length]).toEqual([1, 440, 440]);
  expect(qemu.readBigUInt64LE(8)).toBe(off.rax);
  expect(qemu.readBigUInt64LE(440 - 24)).toBe(off.cr3);
});

it("has a segment for each run that the tables map, with its rights", async () => {
  const words: Word[] = [
    [0x1000, 0x2003n],
    [0x2000, 0x3003n],
    [0x3000, 0x4003n],
    [0x4000, 0x8000_0000_0000_7003n],
    [0x4010, 0x5001n],
  ];
  const ram = ramOf(words);
  const file = new Uint8Array(0x20_0000);
  const sink = { write: async (bytes: Uint8Array, position: number) => file.set(bytes, position) };
  const told: number[] = [];
  await copyRam(sink, ram, (done) => told.push(done));
  expect(Buffer.from(file.subarray(RAM_OFFSET, RAM_OFFSET + ram.bytes)).equals(await ram.read(0, ram.bytes))).toBe(true);
  expect(told).toEqual([ram.bytes]);
  const on = { ...registers, cr0: 0x8000_0011n, cr3: 0x1000n, cr4: 0x20n, efer: 0xd01n };
  const { bytes, segments } = await finishCore(sink, ram, on, { physical: false });
  const view = new DataView(file.buffer);
  expect(Buffer.from(file.subarray(0, 7)).toString("latin1")).toBe("\x7fELF\x02\x01\x01");
  expect([view.getUint16(16, true), view.getUint16(18, true), view.getUint16(56, true), segments]).toEqual([4, 62, 3, 2]);
  const headers = Number(view.getBigUint64(32, true));
  expect(bytes).toBe(headers + 3 * 56);
  const header = (index: number) => {
    const at = headers + 56 * index;
    const word = (offset: number): bigint => view.getBigUint64(at + offset, true);
    return {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: word(8),
      linear: word(16),
      physical: word(24),
      bytes: word(32),
    };
  };
  expect(header(0)).toMatchObject({ type: 4, offset: BigInt(RAM_OFFSET + ram.bytes) });
  expect(header(1)).toEqual({ type: 1, flags: 6, offset: 0x8000n, linear: 0n, physical: 0x7000n, bytes: 0x1000n });
  expect(header(2)).toEqual({ type: 1, flags: 5, offset: 0x6000n, linear: 0x2000n, physical: 0x5000n, bytes: 0x1000n });
  expect(await finishCore(sink, ram, on, { physical: true })).toMatchObject({ segments: 1 });
});
