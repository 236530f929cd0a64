// The one request that takes long: worked off a piece at a time across polls, so that guests, console and the line go on. It gets as
// much time as it leaves to the rest; all of it when nothing else is to do. Started by request.ts, driven by main.ts. Each piece composes
// its reply anew and has its arguments in its own file: requests are answered in between (turn.ts).

import { Op } from "../../protocol/messages";
import { cloneStep } from "./clone";
import { createStep, createUndo } from "./create";
import { digestStep } from "./digest";
import * as host from "./host";
import * as link from "./link";
import { beginReply, LATER, sendReply } from "./message";
import { loadStep, saveStep } from "./store";

/** A job whose guest does not exist yet. */
export const NO_GUEST: u64 = u64.MAX_VALUE;

let op: u32 = 0;
let guest: u64 = NO_GUEST;
let id: u32 = 0;
let due: u64 = 0;

export function jobActive(): bool {
  return op != 0;
}

/** Whom it works on. */
export function jobGuest(): u64 {
  return guest;
}

/** The operation did its first piece as it was taken up. */
export function startJob(jobOp: u32, jobId: u32, jobFor: u64): void {
  guest = jobFor;
  op = jobOp;
  id = jobId;
  due = host.clock();
}

/** The session that asked for it is over. */
export function cancelJob(): void {
  if (op == Op.GuestCreate) createUndo();
  op = 0;
}

export function jobDeadline(): u64 {
  return op == 0 || link.room() == 0 ? link.NEVER : due;
}

export function runJob(now: u64, idle: bool): void {
  if (op == 0 || link.room() == 0 || (!idle && now < due)) return;
  const start = host.clock();
  beginReply();
  const status = step();
  const end = host.clock();
  due = end + (end - start);
  if (status == LATER) return;
  op = 0;
  sendReply(id, status);
}

function step(): u32 {
  switch (op) {
    case Op.GuestCreate:
      return createStep();
    case Op.GuestClone:
      return cloneStep();
    case Op.GuestLoad:
      return loadStep();
    case Op.GuestSave:
      return saveStep();
    default:
      return digestStep();
  }
}
