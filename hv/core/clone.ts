// guestClone: a slot and a few frames for a copy of a guest, whose memory the host then shares between the two. The source stands only while
// the host makes the copy, in one piece; a job when frames must be scrubbed first. Nothing is changed before all of it is there.

import { GuestCloneArgs, GuestLimit, GuestStatReply, HostImport, RunState, Status } from "../../protocol/messages";
import { returnGuest } from "./create";
import { BLOCK_FRAMES, cleanBlocks, cleanSingles, FRAME_BYTES, freeFrames, NO_FRAME, singleFrame } from "./frames";
import { blocksOf, enroll, freeSlot, markShared, sharing } from "./guests";
import * as host from "./host";
import { HostFact } from "./host";
import { ENTROPY } from "./layout";
import { arg, argData, argsBytes, failWith, failWithTwo, LATER, refused, word } from "./message";
import { NO_BLOCK } from "./placement";
import { FREE_A_GUEST, hasRoom } from "./room";
import { scrub, scrubbing } from "./scrub";

/** Frames scrubbed in one piece. */
const SCRUB_A_STEP: u32 = 64;

let source: u32 = 0;
let affinity: u32 = 0;
let paused: bool = false;
let requestTsc: u64 = 0;
/** What the host must give: the guest block and the pool. */
let singles: u32 = 0;

export function guestClone(guest: u32): u32 {
  requestTsc = host.fact(HostFact.Tsc);
  source = guest;
  if (argsBytes != 8 * GuestCloneArgs.Words + GuestLimit.EntropyBytes) return failWith(Status.BadRequest, argsBytes);
  memory.copy(ENTROPY, argData(GuestCloneArgs.Words), GuestLimit.EntropyBytes);
  paused = arg(GuestCloneArgs.Paused) != 0;
  const cpus = arg(GuestCloneArgs.Affinity);
  const working = host.fact(HostFact.Cpus);
  if (cpus & ~working) return failWithTwo(Status.NoSuchCpu, cpus, working);
  affinity = cpus ? <u32>cpus : <u32>(host.guestCpus(source) >> 32);
  singles = 1 + <u32>host.fact(HostFact.CloneFrames) + 2 * ((blocksOf(source) + BLOCK_FRAMES - 1) / BLOCK_FRAMES);
  return cloneStep();
}

export function cloneStep(): u32 {
  const state = host.guestState(source);
  if (state == RunState.Created || state == RunState.Ended) return failWith(Status.BadState, state);
  const slot = freeSlot();
  if (slot == GuestLimit.Slots) return failWith(Status.NoSlot, GuestLimit.Slots);
  if (!hasRoom(singles, sharing + 1)) return noMemory();
  if (cleanBlocks == 0 && cleanSingles() < singles) {
    if (!scrubbing()) return noMemory();
    scrub(SCRUB_A_STEP);
    return LATER;
  }
  const frame = singleFrame();
  if (frame == NO_FRAME || !host.guestNew(slot, frame, affinity)) return refused(HostImport.GuestNew);
  for (let i: u32 = 1; i < singles; i++) {
    const pool = singleFrame();
    if (pool == NO_FRAME || !host.guestPool(slot, pool)) return undone(slot, HostImport.GuestPool);
  }
  const before = host.fact(HostFact.Tsc);
  const ticks = host.guestClone(slot, source, paused, <u32>ENTROPY);
  const after = host.fact(HostFact.Tsc);
  if (ticks == 0) {
    // It may have ended on another CPU since it was asked.
    const now = host.guestState(source);
    const status = undone(slot, HostImport.GuestClone);
    return now == RunState.Ended ? failWith(Status.BadState, now) : status;
  }
  enroll(slot, blocksOf(source), NO_BLOCK);
  markShared(slot);
  markShared(source);
  word(slot);
  word(host.guestStat(slot, GuestStatReply.Generation));
  word(requestTsc);
  word(ticks);
  word(after - before);
  return Status.Ok;
}

function noMemory(): u32 {
  const wanted = singles + FREE_A_GUEST * (sharing + 1);
  return failWithTwo(Status.NoMemory, wanted * FRAME_BYTES, freeFrames() * FRAME_BYTES);
}

function undone(slot: u32, hostImport: u32): u32 {
  host.guestFree(slot);
  returnGuest(NO_BLOCK);
  return refused(hostImport);
}
