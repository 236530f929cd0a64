// A guest's state besides its RAM: read from any guest, written into one that was not started, refused with what was wrong.
import { beforeEach, expect, test } from "vitest";
import { EndReason, GuestEntryReply, GuestLimit, GuestPart, Op, RunState, Status } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { creation } from "./codec.js";
import { Rig } from "./rig.js";

const FAR = 1n << 32n;
let rig: Rig;

beforeEach(() => {
  rig = Rig.open();
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
});

test("what the next entry finds, word by word", () => {
  expect(rig.ok(Op.GuestEntry, [0]).words).toEqual(Array.from({ length: GuestEntryReply.Words }, (_, index) => BigInt(index)));
});

test("a guest's model and rate go to its machine; others than there are, do not", () => {
  const [bytes] = creation(2 << 20, 0);
  rig.ok(Op.GuestCreate, [bytes, 7, 1, 2_500_000, ...creation(0, 0).slice(4)]);
  expect(rig.host.guest(1)).toMatchObject({ wallSeconds: 7n, cpuModel: 1, tscKhz: 2_500_000 });
  for (const [model, khz] of [
    [2, 0],
    [FAR, 0],
    [0, 100_000_001],
    [0, FAR],
  ] as const) {
    expect(rig.call(Op.GuestCreate, [bytes, 7, model, khz, ...creation(0, 0).slice(4)]).status).toBe(Status.BadRequest);
  }
});

test("parts are read and written where they lie", () => {
  rig.ok(Op.GuestPartWrite, [0, GuestPart.Fpu, 5], Buffer.from("state"));
  expect(rig.ok(Op.GuestPartRead, [0, GuestPart.Fpu, 4, 7]).bytes.toString("latin1")).toBe("\x02state\x02");
});

test.each([
  ["no such part", [0, GuestPart.Count, 0, 1]],
  ["a number beyond 32 bits", [0, FAR, 0, 1]],
  ["an offset beyond 32 bits", [0, 0, FAR, 1]],
  ["beyond the part", [0, 0, 996, 8]],
  ["more than a reply holds", [0, 0, 0, GuestLimit.ReadBytes + 1]],
])("a part is not read: %s", (_why, words) => {
  expect(rig.call(Op.GuestPartRead, words)).toMatchObject({ status: Status.PartRefused, words: [BigInt(words[1] ?? 0)] });
});

test.each([
  ["no such part", [0, GuestPart.Count, 0]],
  ["a part that can only be read", [0, GuestPart.Cpuid, 0]],
  ["a number beyond 32 bits", [0, FAR, 0]],
  ["an offset beyond 32 bits", [0, 0, FAR]],
  ["beyond the part", [0, 0, 996]],
])("a part is not written: %s", (_why, words) => {
  expect(rig.call(Op.GuestPartWrite, words, Buffer.alloc(8)).status).toBe(Status.PartRefused);
});

test("registers are written in the order given, up to the one that is refused", () => {
  rig.ok(Op.GuestRegistersWrite, [0, Register.Efer, 0x500n, ExitField.Inject, 7n]);
  expect([...rig.host.guest(0).registers]).toEqual([
    [Register.Efer, 0x500n],
    [ExitField.Inject, 7n],
  ]);
  const refused = rig.call(Op.GuestRegistersWrite, [0, Register.Cr3, 1, 200, 2, Register.Cr0, 3]);
  expect(refused).toMatchObject({ status: Status.RegisterRefused, words: [200n, 2n] });
  expect([...rig.host.guest(0).registers.keys()]).toEqual([Register.Efer, ExitField.Inject, Register.Cr3]);
  expect(rig.call(Op.GuestRegistersWrite, [0, FAR, 1]).status).toBe(Status.RegisterRefused);
});

test("restored, the guest is paused, and goes on when it is resumed", () => {
  rig.ok(Op.GuestRestore, [0, 1, 9, 1_000_000_007n, 77n]);
  expect(rig.host.guest(0)).toMatchObject({ restored: { halted: 1, events: 9, clock: 1_000_000_007n, tsc: 77n }, state: RunState.Paused });
  rig.ok(Op.GuestResume, [0, 0, 0]);
  expect(rig.host.guest(0).state).toBe(RunState.Runnable);
});

test("what the machine finds wrong is told, and the guest stays as it was", () => {
  rig.host.bootStatus = Status.RecordRefused;
  rig.host.bootValue = 0x190n;
  expect(rig.call(Op.GuestRestore, [0, 0, 0, 0, 0])).toMatchObject({ status: Status.RecordRefused, words: [0x190n] });
  expect(rig.host.guest(0).state).toBe(RunState.Created);
});

test("a machine that traps while it restores has ended", () => {
  rig.host.trap = EndReason.TrapDivideByZero;
  const reply = rig.call(Op.GuestRestore, [0, 0, 0, 0, 0]);
  expect(reply).toMatchObject({ status: Status.Ended, words: [BigInt(EndReason.TrapDivideByZero), 0x77n] });
});

test("nothing is written into a guest that was started", () => {
  rig.ok(Op.GuestStart, [0, 1, 0, 64, 0]);
  const requests: [Op, (number | bigint)[]][] = [
    [Op.GuestPartWrite, [0, 0, 0]],
    [Op.GuestRegistersWrite, [0, 0, 0]],
    [Op.GuestRestore, [0, 0, 0, 0, 0]],
  ];
  for (const [op, words] of requests)
    expect(rig.call(op, words)).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Runnable)] });
});
