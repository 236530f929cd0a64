// Machine modules, as core serves them: what the host says of each place, and its refusals with their evidence.
import { beforeEach, expect, test } from "vitest";
import { EndReason, Op, Status } from "../../../protocol/messages.js";
import { ModuleFault, ModuleLimit, ModulesReply, ModuleWord } from "../../../protocol/module.js";
import { creation } from "./codec.js";
import { Rig } from "./rig.js";

const ALL_ONES = 0xffff_ffff_ffff_ffffn;

let rig: Rig;
beforeEach(() => {
  rig = Rig.open({ memoryMiB: 16 });
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
  rig.ok(Op.GuestCreate, creation(2 << 20, 0));
});

test("tells all that is known of each place", () => {
  const { words } = rig.ok(Op.Modules);
  expect(words).toHaveLength(ModulesReply.Words + ModuleLimit.Slots * ModuleWord.Words);
  expect(words.slice(0, ModulesReply.Words)).toEqual([BigInt(ModuleWord.BaseLow), BigInt(ModuleWord.BaseHigh)]);
  expect(words.slice(ModulesReply.Words)).toEqual(rig.host.modules.words.flatMap((place) => place.slice(0, ModuleWord.Words)));
});

test("a module is loaded out of a guest's RAM; the host's fault is told", () => {
  rig.ok(Op.ModuleLoad, [1, 0x1000, 0x9000, 2]);
  rig.ok(Op.ModuleLoad, [1, ALL_ONES, 1n << 40n, ALL_ONES]);
  expect(rig.host.modules.loads).toEqual([
    [1, 0x1000, 0x9000, 2],
    [1, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff],
  ]);
  rig.host.modules.fault = ModuleFault.Base;
  expect(rig.call(Op.ModuleLoad, [1, 0, 0x1000, 1])).toMatchObject({ status: Status.ModuleRefused, words: [BigInt(ModuleFault.Base)] });
  expect(rig.call(Op.ModuleLoad, [7, 0, 0x1000, 1]).status).toBe(Status.NoSuchGuest);
  expect(rig.call(Op.ModuleLoad, [1, 0, 0x1000]).status).toBe(Status.BadRequest);
});

test("new guests start on the one that is in use", () => {
  rig.ok(Op.ModuleUse, [2]);
  expect(rig.host.modules.used).toBe(2);
  rig.host.modules.fault = ModuleFault.Slot;
  expect(rig.call(Op.ModuleUse, [1n << 32n])).toMatchObject({ status: Status.ModuleRefused, words: [BigInt(ModuleFault.Slot)] });
  expect(rig.host.modules.used).toBe(0xffff_ffff);
});

test("a guest goes over; why it does not is told", () => {
  rig.ok(Op.GuestSwap, [0, 1, 1, 0x10_0000, 9]);
  expect(rig.host.modules.swaps).toEqual([[0, 1, 1, 0x10_0000, 9]]);
  const place = rig.host.modules.words[0] ?? [];
  place[ModuleWord.SwapReason] = BigInt(EndReason.TrapRunaway);
  place[ModuleWord.SwapValue] = 0x1234n;
  const failing = (status: number) => {
    rig.host.modules.status = status;
    const { words, status: told } = rig.call(Op.GuestSwap, [0, 1, 1, 0, 0]);
    return [told, words];
  };
  expect(failing(Status.Ended)).toEqual([Status.Ended, [BigInt(EndReason.TrapRunaway), 0x1234n]]);
  expect(failing(Status.StateNotZero)).toEqual([Status.StateNotZero, [0x1234n]]);
  expect(failing(0x7fff_ffff)).toEqual([0xffff, [0x1234n]]); // a machine's own answer is no more than a number
  expect(rig.call(Op.GuestSwap, [0, 1, 7, 0, 0])).toMatchObject({ status: Status.NoSuchGuest, words: [7n] });
  expect(rig.call(Op.GuestSwap, [7, 1, 1, 0, 0])).toMatchObject({ status: Status.NoSuchGuest, words: [7n] });
});
