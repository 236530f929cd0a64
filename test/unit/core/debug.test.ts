// A guest's debugger in core: what it wants goes to a guest that stands, and that the guest stopped is told, each time.
import { beforeEach, expect, test } from "vitest";
import { DebugFlag, DebugStop } from "../../../protocol/debug.js";
import { Event, GuestKind, GuestPart, HostImport, Op, ResumeClock, RunState, Status } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { creation } from "./codec.js";
import { Rig } from "./rig.js";

const STEP = DebugFlag.Attached | DebugFlag.Step;
let rig: Rig;

beforeEach(() => {
  rig = Rig.open();
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  rig.ok(Op.GuestStart, [0, GuestKind.Linux, 0, 64, 1]);
  rig.settle();
  rig.news = [];
});

test("a guest can be started so that it stands before its first instruction", () => {
  expect(rig.host.guest(0)).toMatchObject({ state: RunState.Paused, before: RunState.Runnable });
});

test("flags and debug registers go to the host", () => {
  rig.ok(Op.GuestDebug, [0, STEP, 1n << 63n, 2, 3, 4, 0x402]);
  expect(rig.host.guest(0).debug).toEqual({ flags: STEP, registers: [1n << 63n, 2n, 3n, 4n, 0x402n] });
});

test.each([DebugFlag.Hardware, DebugFlag.Trap, 1n << 32n])("the hypervisor's own flag %i is not taken", (flag) => {
  expect(rig.call(Op.GuestDebug, [0, flag, 0, 0, 0, 0, 0])).toMatchObject({ status: Status.BadRequest, words: [BigInt(flag)] });
});

test("not while the guest runs", () => {
  rig.ok(Op.GuestResume, [0, ResumeClock.Frozen, 0]);
  const refused = rig.call(Op.GuestDebug, [0, STEP, 0, 0, 0, 0, 0]);
  expect(refused).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Runnable)] });
});

test("what the host refuses is told", () => {
  rig.host.refuse.set("guestDebug", 0);
  const refused = rig.call(Op.GuestDebug, [0, STEP, 0, 0, 0, 0, 0]);
  expect(refused).toMatchObject({ status: Status.Refused, words: [BigInt(HostImport.GuestDebug)] });
});

test("each stop is told, though nobody saw the guest run in between", () => {
  for (const stop of [DebugStop.Step, DebugStop.Software]) {
    rig.host.stop(0, stop);
    rig.settle();
    expect(rig.news.splice(0)).toEqual([{ event: Event.GuestStopped, guest: 0, words: [BigInt(stop), BigInt(Register.Rip)] }]);
  }
  rig.settle();
  expect(rig.news).toEqual([]);
});

test("registers and the FPU of a guest that stands are written, and nothing else of it", () => {
  rig.ok(Op.GuestRegistersWrite, [0, Register.Rax, 5]);
  expect(rig.host.guest(0).registers.get(Register.Rax)).toBe(5n);
  rig.ok(Op.GuestPartWrite, [0, GuestPart.Fpu, 0], Buffer.alloc(8));
  for (const part of [GuestPart.Region, GuestPart.CpuidNew]) {
    const refused = rig.call(Op.GuestPartWrite, [0, part, 0], Buffer.alloc(8));
    expect(refused).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Paused)] });
  }
});

test("a pause that the guest's own stop has overtaken is no defect", () => {
  rig.ok(Op.GuestResume, [0, ResumeClock.Frozen, 0]);
  let looks = 0;
  const state = { get: () => (looks++ === 0 ? RunState.Runnable : RunState.Paused) };
  Object.defineProperty(rig.host.guest(0), "state", state);
  expect(rig.call(Op.GuestPause, [0])).toMatchObject({ status: Status.BadState, words: [BigInt(RunState.Paused)] });
});
