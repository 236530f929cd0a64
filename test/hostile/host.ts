// Every import of core with every kind of bad argument: frames that are not free, slots that are not there, memory that is not core's.
// Guest slot 0 runs while this is called (the test sees to it).
import * as host from "../../hv/core/host";
import { FrameState, HostFact } from "../../hv/core/host";
import { GuestLimit, GuestPart } from "../../protocol/messages";
import { ModuleLimit, ModuleWord } from "../../protocol/module";
import { TraceMode } from "../../protocol/trace";
import { VmxField } from "../../protocol/vcb";

export let refused: u64 = 0;
export let granted: u64 = 0;
export let firstGranted: u64 = 0;

const RUNNING: u32 = 0;
const EMPTY: u32 = GuestLimit.Slots - 1;
const MEMORY: u32 = 0x1000;
const SLOTS: StaticArray<u32> = [EMPTY, GuestLimit.Slots, GuestLimit.Slots + 1, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
const OUTSIDE: StaticArray<u32> = [0x40000, 0x3fffd, 0x100000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];
const FAR: StaticArray<u64> = [0x100000000, 0x800000000000, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffff8, 0xffffffffffffffff];

/** Frames of each state that is not free and scrubbed. */
const KINDS: StaticArray<u32> = [0, 0, 0, 0, 0];

export function badImports(): void {
  refused = 0;
  granted = 0;
  firstGranted = 0;
  frames();
  for (let i = 0; i < SLOTS.length; i++) slots(200, SLOTS[i]);
  running(300);
  for (let i = 0; i < OUTSIDE.length; i++) memory(400, OUTSIDE[i]);
  for (let i = 0; i < FAR.length; i++) addresses(500, FAR[i]);
}

/** The first frame in a state, or a number that is no frame. */
function frameIn(state: u32): u32 {
  const count = <u32>host.fact(HostFact.Frames);
  for (let frame: u32 = 0; frame < count; frame++) if ((<u32>host.frame(frame) & 0xff) == state) return frame;
  return u32.MAX_VALUE;
}

/** Frames that are the hypervisor's, a guest's, not scrubbed, or none at all go nowhere. */
function frames(): void {
  KINDS[0] = frameIn(FrameState.Absent);
  KINDS[1] = frameIn(FrameState.Host);
  KINDS[2] = frameIn(FrameState.Owned);
  KINDS[3] = <u32>host.fact(HostFact.Frames);
  KINDS[4] = u32.MAX_VALUE;
  for (let i = 0; i < KINDS.length; i++) {
    const frame = KINDS[i];
    expect(101, !host.frameScrub(frame, 1));
    expect(102, !host.frameScrub(frame, 512));
    expect(103, !host.guestNew(EMPTY, frame, 0));
    expect(104, !host.guestPool(RUNNING, frame));
    expect(105, !host.guestRam(RUNNING, frame >> 9, 0));
  }
  const clean = frameIn(FrameState.Clean);
  expect(106, !host.frameScrub(clean, 1));
  expect(107, !host.frameScrub(clean, u32.MAX_VALUE));
  expect(108, !host.guestNew(RUNNING, clean, 0));
  for (let cpu: u32 = 8; cpu < 32; cpu++) expect(112, !host.guestNew(EMPTY, clean, 1 << cpu));
  expect(113, !host.guestNew(EMPTY, clean, u32.MAX_VALUE));
  expect(109, host.blockCount(u32.MAX_VALUE, FrameState.Clean) == 0);
  expect(110, host.blockCount(0, u32.MAX_VALUE) == 0);
  expect(111, (<u32>host.frame(u32.MAX_VALUE) & 0xff) == FrameState.Absent);
}

function slots(n: u32, slot: u32): void {
  const clean = frameIn(FrameState.Clean);
  if (slot >= <u32>GuestLimit.Slots) expect(n, !host.guestNew(slot, clean, 0));
  expect(n + 1, !host.guestPool(slot, clean));
  expect(n + 2, !host.guestRam(slot, clean >> 9, 0));
  expect(n + 3, !host.guestInit(slot, 0, 0, 0));
  expect(n + 4, host.guestBoot(slot, 1, 0, 64) != 0);
  expect(n + 5, !host.guestRun(slot));
  expect(n + 18, !host.guestResume(slot, false, 0));
  expect(n + 6, !host.guestPause(slot));
  expect(n + 7, !host.guestKill(slot));
  expect(n + 8, !host.guestFree(slot));
  expect(n + 9, !host.guestNmi(slot));
  expect(n + 10, host.guestState(slot) == 0);
  expect(n + 11, host.guestReason(slot) == 0);
  expect(n + 12, host.guestValue(slot) == 0);
  expect(n + 13, host.guestRegister(slot, 0) == 0);
  expect(n + 14, host.guestStat(slot, 0) == 0);
  expect(n + 30, host.guestVcb(slot, 0) == 0);
  expect(n + 18, host.guestCpus(slot) == 0);
  expect(n + 15, host.guestExits(slot, 1) == 0);
  expect(n + 16, !host.guestRead(slot, 0, MEMORY, 16));
  expect(n + 17, !host.guestWrite(slot, 0, MEMORY, 16));
  expect(n + 19, host.storeRead(0, 1, slot, 0) != 0);
  expect(n + 20, host.storeWrite(0, 1, slot, 0) != 0);
  expect(n + 21, host.consoleTake(slot, 0, MEMORY, 16) == 0);
  expect(n + 22, host.consoleGive(slot, 0, MEMORY, 16) == 0);
  expect(n + 23, host.consoleLost(slot, 0) == 0);
  expect(n + 25, host.guestEntry(slot, 0) == 0);
  expect(n + 26, !host.guestPartRead(slot, 0, 0, MEMORY, 16));
  expect(n + 27, !host.guestPartWrite(slot, 0, 0, MEMORY, 16));
  expect(n + 28, !host.guestRegisterWrite(slot, 0, 0));
  expect(n + 29, host.guestRestore(slot, 0, 0, 0, 0) != 0);
  expect(n + 31, !host.guestTrace(slot, TraceMode.Ring, clean));
  expect(n + 32, host.guestTraced(slot, 0, MEMORY) == 0);
  expect(n + 33, !host.guestDebug(slot, 1, MEMORY));
  expect(n + 34, host.guestStop(slot) == 0);
  expect(n + 35, host.guestNested(slot, 0, 4) == 0);
  expect(n + 36, host.moduleLoad(slot, 0, 0x1000, 1) != 0);
  expect(n + 37, host.guestSwap(slot, 0, RUNNING, 0, 0) != 0);
  expect(n + 38, host.guestSwap(RUNNING, 0, slot, 0, 0) != 0);
  if (slot >= <u32>GuestLimit.Slots) expect(n + 24, host.guestChanged(slot) == -1);
}

/** A guest that runs keeps what it has. */
function running(n: u32): void {
  const clean = frameIn(FrameState.Clean);
  expect(n + 1, !host.guestFree(RUNNING));
  expect(n + 2, !host.guestInit(RUNNING, 0, 0, 0));
  expect(n + 3, host.guestBoot(RUNNING, 1, 0, 64) != 0);
  expect(n + 4, !host.guestRun(RUNNING));
  expect(n + 13, !host.guestResume(RUNNING, true, 0));
  expect(n + 5, !host.guestRam(RUNNING, clean >> 9, 0));
  expect(n + 6, host.guestRegister(RUNNING, 0x681e) == 0);
  expect(n + 7, host.guestRegister(RUNNING, u32.MAX_VALUE) == 0);
  expect(n + 8, host.guestStat(RUNNING, u32.MAX_VALUE) == 0);
  expect(n + 26, host.guestVcb(RUNNING, 0x681e) == 0);
  expect(n + 27, host.guestVcb(RUNNING, VmxField.Count) == 0);
  expect(n + 28, host.guestVcb(RUNNING, u32.MAX_VALUE) == 0);
  expect(n + 9, host.guestExits(RUNNING, u32.MAX_VALUE) == 0);
  expect(n + 10, host.consoleTake(RUNNING, 7, MEMORY, 16) == 0);
  expect(n + 11, host.consoleGive(RUNNING, 7, MEMORY, 16) == 0);
  expect(n + 12, host.consoleLost(RUNNING, u32.MAX_VALUE) == 0);
  expect(n + 13, !host.guestPartWrite(RUNNING, GuestPart.Region, 0, MEMORY, 16));
  expect(n + 14, !host.guestRegisterWrite(RUNNING, 0, 0));
  expect(n + 15, host.guestRestore(RUNNING, 0, 0, 0, 0) != 0);
  expect(n + 31, !host.guestDebug(RUNNING, 1, MEMORY));
  expect(n + 32, !host.guestPartWrite(RUNNING, GuestPart.Fpu, 0, MEMORY, 16));
  expect(n + 16, host.guestEntry(RUNNING, u32.MAX_VALUE) == 0);
  for (let part: u32 = 0; part < <u32>GuestPart.Count; part++) {
    expect(n + 17, !host.guestPartRead(RUNNING, part, 0x8000, MEMORY, 1));
    expect(n + 18, !host.guestPartRead(RUNNING, part, u32.MAX_VALUE, MEMORY, 16));
    expect(n + 19, !host.guestPartRead(RUNNING, part, 0, MEMORY, 0x8000));
    expect(n + 20, !host.guestPartRead(RUNNING, part, 0, u32.MAX_VALUE, 16));
  }
  expect(n + 21, !host.guestPartRead(RUNNING, GuestPart.Count, 0, MEMORY, 16));
  expect(n + 22, !host.guestPartRead(RUNNING, u32.MAX_VALUE, 0, MEMORY, 16));
  // frames that are not at a multiple, or not clean; modes that do not exist; records that are not there
  expect(n + 26, !host.guestTrace(RUNNING, TraceMode.Ring, clean | 1));
  expect(n + 27, !host.guestTrace(RUNNING, TraceMode.Ring, 0));
  expect(n + 28, !host.guestTrace(RUNNING, TraceMode.Ring, 0xfffffff0));
  expect(n + 29, !host.guestTrace(RUNNING, u32.MAX_VALUE, clean));
  expect(n + 30, host.guestTraced(RUNNING, 0, MEMORY) == 0);
  expect(n + 23, host.cpuStat(0, u32.MAX_VALUE) == 0);
  expect(n + 24, host.cpuStat(8, 0) == 0);
  expect(n + 25, host.cpuStat(u32.MAX_VALUE, 0) == 0);
  for (let level: u32 = 0; level < 3; level++) expect(n + 26, host.guestNested(RUNNING, 0xffffff000000, level) == 0);
  // a guest that runs is no carrier; places that are not there, or empty
  expect(n + 33, host.moduleLoad(RUNNING, 0, 0x1000, 1) != 0);
  expect(n + 34, host.guestSwap(RUNNING, 0, RUNNING, 0, 0) != 0);
  for (let place: u32 = 1; place < <u32>ModuleLimit.Slots; place++) {
    expect(n + 35, !host.moduleUse(place));
    expect(n + 36, host.module(place, ModuleWord.Guests) == 0);
  }
  expect(n + 37, !host.moduleUse(ModuleLimit.Slots) && !host.moduleUse(u32.MAX_VALUE));
  expect(n + 38, host.module(ModuleLimit.Slots, 0) == 0 && host.module(u32.MAX_VALUE, 0) == 0);
  expect(n + 39, host.module(0, ModuleWord.Count) == 0 && host.module(0, u32.MAX_VALUE) == 0);
  expect(n + 27, host.guestNested(RUNNING, 0, 5) == 0);
  expect(n + 28, host.guestNested(RUNNING, 0, u32.MAX_VALUE) == 0);
}

/** Memory that is not core's: the second argument starts outside, or ends there. */
function memory(n: u32, at: u32): void {
  expect(n + 1, !host.guestRead(RUNNING, 0, at, 16));
  expect(n + 2, !host.guestWrite(RUNNING, 0x1000, at, 16));
  expect(n + 3, host.serialRead(at, 16) == 0);
  expect(n + 4, host.serialWrite(at, 16) == 0);
  expect(n + 5, host.identity(at, 16) == 0);
  expect(n + 6, host.consoleTake(RUNNING, 0, at, 16) == 0);
  expect(n + 7, host.consoleGive(RUNNING, 0, at, 16) == 0);
  host.guestTraced(RUNNING, 0, at);
  host.crc32c(at, 16);
  expect(n + 8, !host.guestRead(RUNNING, 0, MEMORY, at));
  expect(n + 9, !host.guestWrite(RUNNING, 0, MEMORY, at));
  host.crc32c(MEMORY, at);
}

/** Addresses that are not in the guest's RAM. */
function addresses(n: u32, at: u64): void {
  expect(n + 1, !host.guestRead(RUNNING, at, MEMORY, 16));
  expect(n + 2, !host.guestWrite(RUNNING, at, MEMORY, 16));
  expect(n + 5, host.storeRead(0, 1, RUNNING, at) != 0);
  expect(n + 6, host.storeWrite(0, 1, RUNNING, at) != 0);
  expect(n + 7, host.storeRead(at, 1, RUNNING, 0) != 0);
}

/** Kept large enough that it is called, and not put in at each of its hundreds of places: the image has a limit. */
function expect(n: u32, condition: bool): void {
  if (condition) {
    refused++;
    return;
  }
  granted++;
  // The first four, 16 bits each: what a test that fails shows.
  if (granted == 1) firstGranted = n;
  else if (granted <= 4) firstGranted |= (<u64>n) << ((granted - 1) << 4);
}
