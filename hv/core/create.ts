// guestCreate: finds a slot and frames, scrubs when too few are clean, gives them to the host, has the machine made. What was taken goes
// back when any step is refused, or when the session ends in the middle. A job for large guests; one piece for common ones.

import { Link } from "../../protocol/link";
import { CpuModel, EndReason, GuestCreateArgs, GuestCreateReply, GuestLimit, HostImport, Status } from "../../protocol/messages";
import {
  BLOCK_BYTES,
  BLOCK_FRAMES,
  classifyCarved,
  cleanBlocks,
  cleanSingles,
  FRAME_BYTES,
  NO_FRAME,
  singleFrame,
  wholeBlocks,
} from "./frames";
import { enroll, freeSlot, sharers } from "./guests";
import * as host from "./host";
import { HostFact } from "./host";
import { arg, failWith, failWithTwo, LATER, refused, word } from "./message";
import { NO_BLOCK, nextBlock, returnBlocks, takeBlocks } from "./placement";
import { hasRoom, room } from "./room";
import { scrub, scrubAgain, scrubbing } from "./scrub";

/** 100 GHz: no TSC is faster. */
const MAX_KHZ: u64 = 100000000;
const MIB: u64 = 0x100000;
const RUN_BYTES: u32 = 24;
/** Runs that one reply can name. */
const MAX_RUNS: u32 = (Link.MaxPayload - Link.MessageHeaderBytes - 8 * GuestCreateReply.Words) / RUN_BYTES;
/** Blocks given in one piece: 256 MiB. */
const BLOCKS_A_STEP: u32 = 128;
/** Frames scrubbed in one piece. */
const SCRUB_A_STEP: u32 = 64;

enum Stage {
  /** nothing is taken yet */
  Placing,
  /** blocks are taken, the host has made the guest */
  Giving,
}

let stage: u32 = Stage.Placing;
let slot: u32 = 0;
let blockCount: u32 = 0;
/** Frames besides RAM: the guest block and the pool. */
let singles: u32 = 0;
let wallSeconds: u64 = 0;
let cpuModel: u32 = 0;
let tscKhz: u32 = 0;
let affinity: u32 = 0;
let requestTsc: u64 = 0;
let firstBlock: u32 = 0;
let givenBlocks: u32 = 0;
let nextToGive: u32 = 0;
/** Something changed since the blocks were last looked for in vain. */
let worthTrying: bool = false;

export function guestCreate(): u32 {
  requestTsc = host.fact(HostFact.Tsc);
  const bytes = arg(GuestCreateArgs.MemoryBytes);
  wallSeconds = arg(GuestCreateArgs.WallSeconds);
  if (arg(GuestCreateArgs.CpuModel) >= <u64>CpuModel.Count) return failWith(Status.BadRequest, arg(GuestCreateArgs.CpuModel));
  cpuModel = <u32>arg(GuestCreateArgs.CpuModel);
  if (arg(GuestCreateArgs.TscKhz) > MAX_KHZ) return failWith(Status.BadRequest, arg(GuestCreateArgs.TscKhz));
  tscKhz = <u32>arg(GuestCreateArgs.TscKhz);
  const cpus = arg(GuestCreateArgs.Affinity);
  const working = host.fact(HostFact.Cpus);
  if (cpus & ~working) return failWithTwo(Status.NoSuchCpu, cpus, working);
  affinity = <u32>cpus;
  if (!isMemorySize(bytes)) return failWith(Status.BadMemorySize, bytes);
  slot = freeSlot();
  if (slot == GuestLimit.Slots) return failWith(Status.NoSlot, GuestLimit.Slots);
  blockCount = <u32>(bytes / BLOCK_BYTES);
  singles = 1 + <u32>host.fact(HostFact.PoolFrames) + (blockCount + 511) / 512;
  stage = Stage.Placing;
  worthTrying = true;
  return createStep();
}

function isMemorySize(bytes: u64): bool {
  return bytes % BLOCK_BYTES == 0 && bytes >= GuestLimit.MinMiB * MIB && bytes <= GuestLimit.MaxMiB * MIB;
}

export function createStep(): u32 {
  if (stage == Stage.Placing) {
    if (blockCount > wholeBlocks || !hasRoom(<u64>blockCount * BLOCK_FRAMES + singles, sharers())) return noMemory();
    if (!worthTrying || !place()) {
      if (!scrubbing()) return noMemory();
      worthTrying = scrub(SCRUB_A_STEP);
      return LATER;
    }
    const status = makeGuest();
    if (status != Status.Ok) return status;
  }
  for (let i: u32 = 0; i < BLOCKS_A_STEP && nextToGive != NO_BLOCK; i++) {
    if (!host.guestRam(slot, nextToGive, <u64>givenBlocks * BLOCK_BYTES)) return undone(HostImport.GuestRam);
    givenBlocks++;
    nextToGive = nextBlock(nextToGive);
  }
  return nextToGive == NO_BLOCK ? finish() : LATER;
}

/** Takes the RAM, if single frames will be left for the rest. */
function place(): bool {
  if (cleanBlocks < blockCount) return false;
  const have = cleanSingles();
  const carve = have < singles ? (singles - have + BLOCK_FRAMES - 1) / BLOCK_FRAMES : 0;
  if (cleanBlocks < blockCount + carve) return false;
  firstBlock = takeBlocks(blockCount, MAX_RUNS);
  return firstBlock != NO_BLOCK;
}

function makeGuest(): u32 {
  const frame = singleFrame();
  if (frame == NO_FRAME || !host.guestNew(slot, frame, affinity)) {
    returnBlocks(firstBlock);
    return frame == NO_FRAME ? noMemory() : refused(HostImport.GuestNew);
  }
  stage = Stage.Giving;
  givenBlocks = 0;
  nextToGive = firstBlock;
  for (let i: u32 = 1; i < singles; i++) {
    const pool = singleFrame();
    if (pool == NO_FRAME || !host.guestPool(slot, pool)) return undone(HostImport.GuestPool);
  }
  return Status.Ok;
}

function finish(): u32 {
  if (!host.guestInit(slot, wallSeconds, cpuModel, tscKhz)) {
    const reason = host.guestReason(slot);
    const value = host.guestValue(slot);
    const status = undone(HostImport.GuestInit);
    if (reason != EndReason.None) return failWithTwo(Status.Ended, reason, value);
    return value ? failWith(Status.CpuLacks, value) : status;
  }
  enroll(slot, blockCount, firstBlock);
  word(slot);
  word(countRuns());
  word(requestTsc);
  let address: u64 = 0;
  for (let block = firstBlock; block != NO_BLOCK; ) {
    const start = block;
    const after = runEnd(start);
    const bytes = <u64>(runLast - start + 1) * BLOCK_BYTES;
    word(address);
    word(<u64>start * BLOCK_BYTES);
    word(bytes);
    address += bytes;
    block = after;
  }
  return Status.Ok;
}

let runLast: u32 = 0;

/** The block after the run that begins at `block`, or NO_BLOCK; runLast is the run's last. */
function runEnd(block: u32): u32 {
  runLast = block;
  let next = nextBlock(block);
  while (next == runLast + 1) {
    runLast = next;
    next = nextBlock(next);
  }
  return next;
}

function countRuns(): u32 {
  let runs: u32 = 0;
  for (let block = firstBlock; block != NO_BLOCK; block = runEnd(block)) runs++;
  return runs;
}

function noMemory(): u32 {
  const free = min(<u64>wholeBlocks * BLOCK_BYTES, room(sharers()) * FRAME_BYTES);
  return failWithTwo(Status.NoMemory, <u64>blockCount * BLOCK_BYTES, free);
}

function undone(hostImport: u32): u32 {
  createUndo();
  return refused(hostImport);
}

/** Gives back all that was taken so far. */
export function createUndo(): void {
  if (stage == Stage.Placing) return;
  host.guestFree(slot);
  returnGuest(firstBlock);
  stage = Stage.Placing;
}

/** The host has taken a guest apart: its frames are free, and dirty. */
export function returnGuest(first: u32): void {
  returnBlocks(first);
  classifyCarved();
  scrubAgain();
}
