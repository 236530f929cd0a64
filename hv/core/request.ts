// Requests, one reply each: takes the one whose turn it is (turn.ts) from the inbox, checks its form, finds its operation. What takes long
// goes on as the job (job.ts). Stands between inbox.ts and the operations.

import { GuestDebugArgs } from "../../protocol/debug";
import { Link } from "../../protocol/link";
import {
  GuestArgs,
  GuestCloneArgs,
  GuestCreateArgs,
  GuestDigestArgs,
  GuestExplainArgs,
  GuestFramesArgs,
  GuestNestedArgs,
  GuestPartArgs,
  GuestPartReadArgs,
  GuestReadArgs,
  GuestRestoreArgs,
  GuestResumeArgs,
  GuestStartArgs,
  GuestStatArgs,
  GuestStoreArgs,
  GuestWriteArgs,
  Op,
  Status,
} from "../../protocol/messages";
import { GuestSwapArgs, ModuleLoadArgs, ModuleUseArgs } from "../../protocol/module";
import { GuestTraceArgs, GuestTracedArgs } from "../../protocol/trace";
import { guestClone } from "./clone";
import { guestDestroy, guestKill, guestNmi, guestPause, guestResume, guestStart } from "./control";
import { guestCreate } from "./create";
import { guestDebug } from "./debug";
import { guestDigest } from "./digest";
import { guestExplain } from "./explain";
import { exists } from "./guests";
import { drop, payloadAt, payloadBytes, waiting } from "./inbox";
import { guestExit, guestFrames, guestNested, guestRegisters, guestStat, guestState } from "./inspect";
import { NO_GUEST, startJob } from "./job";
import * as link from "./link";
import { guestRead, guestWrite } from "./memory";
import { arg, argsBytes, beginReply, fail, failWith, LATER, sendReply, setArgs } from "./message";
import { guestSwap, moduleLoad, modules, moduleUse } from "./modules";
import { guestEntry, guestPartRead, guestPartWrite, guestRegistersWrite, guestRestore } from "./saved";
import { guestLoad, guestSave } from "./store";
import { cpuStat, hello, hostStat, ping, shutdown, stopping } from "./system";
import { guestTrace, guestTraced } from "./trace";
import { nextTurn } from "./turn";

/** Requests taken up in one poll. */
const BATCH: u32 = 16;

export function takeRequests(): void {
  for (let i: u32 = 0; i < BATCH && requestReady(); i++) {
    const index = nextTurn();
    takeRequest(payloadAt(index), payloadBytes(index));
    drop(index);
  }
}

/** There is one whose turn it is, and room for its reply. */
export function requestReady(): bool {
  return waiting() > 0 && !stopping() && link.room() > 0 && nextTurn() < waiting();
}

function takeRequest(at: usize, bytes: u32): void {
  if (bytes < <u32>Link.MessageHeaderBytes) {
    // Without an id there is nobody to answer.
    link.countBad();
    return;
  }
  const id = load<u32>(at);
  const op = load<u32>(at, 4);
  setArgs(at + Link.MessageHeaderBytes, bytes - Link.MessageHeaderBytes);
  beginReply();
  const status = dispatch(op);
  if (status == LATER) startJob(op, id, op == Op.GuestCreate ? NO_GUEST : arg(GuestArgs.Guest));
  else sendReply(id, status);
}

/** Bytes may follow the words. */
const AND_BYTES: u32 = 0x100;
const UNKNOWN: u32 = u32.MAX_VALUE;

/** What each operation's arguments must look like. */
function shapeOf(op: u32): u32 {
  switch (op) {
    case Op.Hello:
    case Op.Shutdown:
    case Op.HostStat:
    case Op.CpuStat:
    case Op.Modules:
      return 0;
    case Op.Ping:
      return AND_BYTES;
    case Op.GuestCreate:
      return GuestCreateArgs.Words;
    case Op.GuestWrite:
      return GuestWriteArgs.Words | AND_BYTES;
    case Op.GuestRead:
      return GuestReadArgs.Words;
    case Op.GuestLoad:
    case Op.GuestSave:
      return GuestStoreArgs.Words;
    case Op.GuestDigest:
      return GuestDigestArgs.Words;
    case Op.GuestStart:
      return GuestStartArgs.Words;
    case Op.GuestStat:
      return GuestStatArgs.Words;
    case Op.GuestNested:
      return GuestNestedArgs.Words;
    case Op.GuestExplain:
      return GuestExplainArgs.Words;
    case Op.GuestPartRead:
      return GuestPartReadArgs.Words;
    case Op.GuestPartWrite:
      return GuestPartArgs.Words | AND_BYTES;
    case Op.GuestRegistersWrite:
      return GuestArgs.Words | AND_BYTES;
    case Op.GuestRestore:
      return GuestRestoreArgs.Words;
    case Op.GuestClone:
      return GuestCloneArgs.Words | AND_BYTES;
    case Op.GuestFrames:
      return GuestFramesArgs.Words;
    case Op.GuestResume:
      return GuestResumeArgs.Words;
    case Op.GuestTrace:
      return GuestTraceArgs.Words;
    case Op.GuestTraced:
      return GuestTracedArgs.Words;
    case Op.GuestDebug:
      return GuestDebugArgs.Words;
    case Op.ModuleLoad:
      return ModuleLoadArgs.Words;
    case Op.ModuleUse:
      return ModuleUseArgs.Words;
    case Op.GuestSwap:
      return GuestSwapArgs.Words;
    case Op.GuestPause:
    case Op.GuestKill:
    case Op.GuestDestroy:
    case Op.GuestState:
    case Op.GuestRegisters:
    case Op.GuestEntry:
    case Op.GuestExit:
    case Op.GuestNmi:
      return GuestArgs.Words;
    default:
      return UNKNOWN;
  }
}

function dispatch(op: u32): u32 {
  const shape = shapeOf(op);
  if (shape == UNKNOWN) return failWith(Status.UnknownOp, op);
  const wordBytes = (shape & 0xff) * 8;
  if (argsBytes < wordBytes || (argsBytes > wordBytes && !(shape & AND_BYTES))) return failWith(Status.BadRequest, argsBytes);
  switch (op) {
    case Op.Hello:
      return hello();
    case Op.Ping:
      return ping();
    case Op.Shutdown:
      return shutdown();
    case Op.HostStat:
      return hostStat();
    case Op.CpuStat:
      return cpuStat();
    case Op.GuestCreate:
      return guestCreate();
    case Op.Modules:
      return modules();
    case Op.ModuleUse:
      return moduleUse();
    default:
      return exists(arg(GuestArgs.Guest))
        ? dispatchGuest(op, <u32>arg(GuestArgs.Guest))
        : failWith(Status.NoSuchGuest, arg(GuestArgs.Guest));
  }
}

/** The operations whose first word is a guest. */
function dispatchGuest(op: u32, slot: u32): u32 {
  switch (op) {
    case Op.GuestWrite:
      return guestWrite(slot);
    case Op.GuestRead:
      return guestRead(slot);
    case Op.GuestLoad:
      return guestLoad(slot);
    case Op.GuestSave:
      return guestSave(slot);
    case Op.GuestDigest:
      return guestDigest(slot);
    case Op.GuestStart:
      return guestStart(slot);
    case Op.GuestPause:
      return guestPause(slot);
    case Op.GuestResume:
      return guestResume(slot);
    case Op.GuestKill:
      return guestKill(slot);
    case Op.GuestDestroy:
      return guestDestroy(slot);
    case Op.GuestState:
      return guestState(slot);
    case Op.GuestRegisters:
      return guestRegisters(slot);
    case Op.GuestStat:
      return guestStat(slot);
    case Op.GuestNested:
      return guestNested(slot);
    case Op.GuestExit:
      return guestExit(slot);
    case Op.GuestExplain:
      return guestExplain(slot);
    case Op.GuestNmi:
      return guestNmi(slot);
    case Op.GuestEntry:
      return guestEntry(slot);
    case Op.GuestPartRead:
      return guestPartRead(slot);
    case Op.GuestPartWrite:
      return guestPartWrite(slot);
    case Op.GuestRegistersWrite:
      return guestRegistersWrite(slot);
    case Op.GuestRestore:
      return guestRestore(slot);
    case Op.GuestClone:
      return guestClone(slot);
    case Op.GuestFrames:
      return guestFrames(slot);
    case Op.GuestTrace:
      return guestTrace(slot);
    case Op.GuestTraced:
      return guestTraced(slot);
    case Op.GuestDebug:
      return guestDebug(slot);
    case Op.ModuleLoad:
      return moduleLoad(slot);
    case Op.GuestSwap:
      return guestSwap(slot);
    default:
      return fail(Status.UnknownOp);
  }
}
