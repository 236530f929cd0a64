// A saved machine driven by hand: it answers as the machine that was saved would have, and the CPU and the file stay as they are.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { machineOf } from "../../../control/src/inspect/devices/machine.js";
import { OfflineMachine } from "../../../control/src/offline/machine.js";
import { SavedGuest } from "../../../control/src/offline/savedguest.js";
import { Register } from "../../../protocol/state.js";
import { Board, place, SECOND } from "../machine/devices/board.js";
import { sourceOf } from "../snapshot/sample.js";
import { fileOf, layout, savedOf } from "./saved.js";

const MS = 1_000_000n;
const IF = 0x202n;

/** The PICs as Linux has them, and the PIT's rate generator at 1000 Hz. */
function ticking(): Board {
  const board = new Board({ wallSeconds: 1_800_000_000 });
  board.initPics(0x11);
  board.out(0x43, 0x34);
  board.out(0x40, 0xa9);
  board.out(0x40, 0x04);
  return board;
}
const open = async (board: Board, change?: Parameters<typeof savedOf>[1]): Promise<OfflineMachine> =>
  OfflineMachine.of(await savedOf(board, change), layout);

const PORTS = [0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc];
PORTS.push(0x3fd, 0x3fe, 0x3ff, 0x2f8, 0x2f9, 0x2fc, 0x4d0, 0x99);
const port = fc.constantFrom(...PORTS);
const operation = fc.oneof(
  fc.record({ kind: fc.constant("in" as const), port, size: fc.constantFrom(1 as const, 2 as const, 4 as const) }),
  // Not a pulse of the reset line (i8042, F0h to FEh): the machine has ended then, and its clock stands.
  fc
    .record({ kind: fc.constant("out" as const), port, value: fc.nat(255) })
    .filter(({ port: at, value }) => !(at === 0x64 && value >= 0xf0)),
  fc.record({ kind: fc.constant("tick" as const), ns: fc.nat(3_000_000) }),
  fc.record({ kind: fc.constant("type" as const), port: fc.constantFrom(0 as const, 1 as const), byte: fc.nat(255) }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function onBoard(board: Board, step: Operation): unknown {
  switch (step.kind) {
    case "in":
      return board.in(step.port, step.size);
    case "out":
      return board.out(step.port, step.value);
    case "tick":
      return board.run(BigInt(step.ns));
    case "type":
      return board.type(step.port, step.byte);
  }
}

function byHand(machine: OfflineMachine, step: Operation): unknown {
  switch (step.kind) {
    case "in":
      return machine.in(step.port, step.size);
    case "out":
      return machine.out(step.port, 1, step.value);
    case "tick":
      return machine.tick(BigInt(step.ns));
    case "type":
      return machine.type(step.port, Uint8Array.of(step.byte));
  }
}

describe("a saved machine", () => {
  property.prop([fc.array(operation, { maxLength: 25 }), fc.array(operation, { minLength: 1, maxLength: 25 })])(
    "goes on under the hand as the one that was saved",
    async (before, after) => {
      const board = ticking();
      for (const step of before) onBoard(board, step);
      const input = board.input.map((bytes) => Uint8Array.from(bytes)) as [Uint8Array, Uint8Array];
      const machine = await open(board, { state: { consoleInput: input } });
      board.output = [[], []];
      // As the restore says it: the timers are due again, there is room.
      board.event(1 | 4);
      for (const step of after) expect(byHand(machine, step)).toEqual(onBoard(board, step));
      expect(machine.news().sent.map((bytes) => [...bytes])).toEqual(board.output);
      const { records, clockNs, inputBytes } = await machine.machine();
      expect([clockNs, inputBytes]).toEqual([board.clock, board.input.map(({ length }) => length)]);
      for (const name of ["irr", "isr", "imr", "int"]) expect(records.picMaster?.[name], name).toBe(board.field("picMaster", name));
      expect(records.timers?.pit).toBe(board.field("timers", "pit"));
    },
    60_000,
  );

  it("shows each step: a timer's interrupt is asked for, taken, and ended", async () => {
    const machine = await open(ticking(), { registers: { [Register.Rflags]: IF, [Register.Rip]: 0x1234n, [Register.Rax]: 7n } });
    const pics = async () => machineOf(await machine.machine()).pics;
    expect((await pics()).fate(0).kind).toBe("idle");
    machine.tick(2n * MS);
    expect((await pics()).fate(0).kind).toBe("taken");
    expect(machine.take()).toEqual({ vector: 0x30, type: "interrupt", errorCode: null });
    expect((await pics()).master).toMatchObject({ inService: [0], int: false });
    expect(machine.take()).toBeNull();
    machine.out(0x20, 1, 0x20);
    expect((await pics()).master.inService).toEqual([]);
    const { rip, rax, rflags } = await machine.registers();
    expect({ rip, rax, rflags }).toEqual({ rip: 0x1234n, rax: 7n, rflags: IF });
  });

  it("keeps back what the CPU may not take", async () => {
    const off = await open(ticking());
    off.tick(5n * MS);
    expect(off.take()).toBeNull();
    expect(machineOf(await off.machine()).pics.master.requested).toContain(0);
    const shadow = await open(ticking(), { registers: { [Register.Rflags]: IF, [Register.InterruptShadow]: 1n } });
    shadow.tick(5n * MS);
    expect(shadow.take()).toBeNull();
  });

  it("takes an NMI once, until an IRET", async () => {
    const machine = await open(ticking());
    machine.nmi();
    expect(machineOf(await machine.machine()).nmiWaits).toBe(true);
    expect(machine.take()).toMatchObject({ vector: 2, type: "nmi" });
    machine.nmi();
    expect(machine.take()).toBeNull();
  });

  it("gives first what was to be delivered when it was saved", async () => {
    const machine = await open(ticking(), { state: { inject: 0x8000_0b0en | (2n << 32n) } });
    expect(machineOf(await machine.machine()).injecting).toEqual({ vector: 14, type: "exception", errorCode: 2 });
    expect(machine.take()).toEqual({ vector: 14, type: "exception", errorCode: 2 });
    expect(machineOf(await machine.machine()).injecting).toBeNull();
  });

  it("wakes from HLT by what it takes", async () => {
    const board = ticking();
    new Uint8Array(board.devices.memory.buffer)[place("machine", "halted").address] = 1;
    const machine = await open(board, { state: { halted: true }, registers: { [Register.Rflags]: IF } });
    machine.tick(2n * MS);
    expect(machineOf(await machine.machine()).halted).toBe(true);
    expect(machine.take()).toMatchObject({ vector: 0x30 });
    expect(machineOf(await machine.machine()).halted).toBe(false);
  });

  it("moves its TSC with its time", async () => {
    const machine = await open(ticking(), { registers: { [Register.Tsc]: 500n } });
    machine.tick(3n * MS);
    expect((await machine.registers()).tsc).toBe(500n + 3_000_000n); // the sample's runs at 1 GHz
  });

  it("answers CPUID from the table that came with it", async () => {
    const machine = await open(ticking());
    expect(machine.cpuid(0, 0)).toEqual({ eax: 0x15, ebx: 0x6874_7541, ecx: 0x444d_4163, edx: 0x6974_6e65 });
    expect(machine.cpuid(1, 0)).toMatchObject({ eax: 0x663, edx: 0x078b_a97f });
    expect(machine.cpuid(7, 0)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });

  it("ends when a device ends it, and does nothing more", async () => {
    const machine = await open(ticking());
    machine.out(0xf4, 1, 3);
    expect(machine.news().end).toMatchObject({ code: "debug-exit", text: /exit status 7/ });
    expect(() => machine.in(0x60, 1)).toThrow(expect.objectContaining({ code: "E_MACHINE_ENDED" }));
  });

  it("stops a tick that has too many timers, and goes on from there", async () => {
    const board = ticking();
    board.out(0x43, 0x34);
    board.out(0x40, 2);
    board.out(0x40, 0);
    const machine = await open(board);
    expect(() => machine.tick(3600n * SECOND)).toThrow(expect.objectContaining({ code: "E_TICK" }));
    const { clockNs } = await machine.machine();
    expect(clockNs).toBeGreaterThan(0n);
    machine.tick(MS);
    expect((await machine.machine()).clockNs).toBe(clockNs + MS);
  });
});

describe("a saved machine is refused", () => {
  it("when no machine was ever in its state", async () => {
    const board = ticking();
    new Uint8Array(board.devices.memory.buffer)[place("picMaster", "lowest").address] = 9;
    await expect(open(board)).rejects.toMatchObject({ code: "E_HV_RECORD_REFUSED" });
  });

  it("when its state does not fit this build", async () => {
    const saved = await savedOf(ticking());
    const other = structuredClone(layout);
    other.records.find(({ record }) => record === "rtc")?.fields.push({ name: "moon", offset: 0, type: "u8", count: 1 });
    expect(() => OfflineMachine.of(saved, other)).toThrow(expect.objectContaining({ code: "E_SNAPSHOT_LAYOUT" }));
  });

  it("when its layout table is none of its region", async () => {
    const file = await fileOf(ticking(), { state: { region: new Uint8Array(200) } });
    await expect(SavedGuest.read(sourceOf(file))).rejects.toMatchObject({ code: "E_SNAPSHOT_DAMAGED" });
  });
});
