// The request that is being worked on, and the reply that is being composed, in place: arguments are read where they arrived, the
// reply is written where it will be sent from. Used by request.ts and by all operations.

import { Channel, Link } from "../../protocol/link";
import { Status } from "../../protocol/messages";
import * as link from "./link";

/** What an operation answers that has only begun: it goes on in job.ts, and its reply comes later. */
export const LATER: u32 = u32.MAX_VALUE;

let argsAt: usize = 0;
/** Bytes of words and data. */
export let argsBytes: u32 = 0;

let replyAt: usize = 0;
/** Bytes composed so far, header included. */
let replyBytes: u32 = 0;

export function setArgs(at: usize, bytes: u32): void {
  argsAt = at;
  argsBytes = bytes;
}

export function arg(index: u32): u64 {
  return load<u64>(argsAt + index * 8);
}

/** Where the bytes after `words` words lie. */
export function argData(words: u32): usize {
  return argsAt + words * 8;
}

/** Only with link.room(). */
export function beginReply(): void {
  replyAt = link.begin();
  replyBytes = Link.MessageHeaderBytes;
}

export function word(value: u64): void {
  store<u64>(replyAt + replyBytes, value);
  replyBytes += 8;
}

/** Where data after the words goes, and how much of it there is room for; then added(). */
export function data(): usize {
  return replyAt + replyBytes;
}

export function dataRoom(): u32 {
  return Link.MaxPayload - replyBytes;
}

export function added(bytes: u32): void {
  replyBytes += bytes;
}

/** A failure and its evidence; what was composed before is dropped. */
export function fail(status: u32): u32 {
  replyBytes = Link.MessageHeaderBytes;
  return status;
}

export function failWith(status: u32, evidence: u64): u32 {
  fail(status);
  word(evidence);
  return status;
}

export function failWithTwo(status: u32, first: u64, second: u64): u32 {
  failWith(status, first);
  word(second);
  return status;
}

export function refused(hostImport: u32): u32 {
  return failWith(Status.Refused, hostImport);
}

export function sendReply(id: u32, status: u32): void {
  store<u32>(replyAt, id);
  store<u32>(replyAt, status, 4);
  link.commit(Channel.Reply, replyBytes);
}
