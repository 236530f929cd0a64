// Operations on guest RAM that fit one message: write, read; and bulk. The range is checked here, and by the host again.

import { Link } from "../../protocol/link";
import { BulkWords, GuestLimit, GuestReadArgs, GuestWriteArgs, HostImport, Status } from "../../protocol/messages";
import { FRAME_BYTES } from "./frames";
import { exists, inside, isBare, memoryBytes, shares } from "./guests";
import * as host from "./host";
import { HostFact } from "./host";
import { countBad } from "./link";
import { added, arg, argData, argsBytes, data, failWith, failWithTwo, refused } from "./message";

export function guestWrite(slot: u32): u32 {
  const address = arg(GuestWriteArgs.Address);
  const bytes = argsBytes - 8 * GuestWriteArgs.Words;
  if (!inside(slot, address, bytes)) return outside(slot, address, bytes);
  if (bytes == 0) return Status.Ok;
  if (host.guestWrite(slot, address, <u32>argData(GuestWriteArgs.Words), bytes)) return Status.Ok;
  return isShort(slot, bytes) ? failWithTwo(Status.NoMemory, bytes, 0) : refused(HostImport.GuestWrite);
}

/** Why a range is not inside a guest's RAM. */
export function outside(slot: u32, address: u64, bytes: u64): u32 {
  return isBare(slot) ? failWith(Status.MemoryGone, memoryBytes(slot)) : failWithTwo(Status.BadAddress, address, bytes);
}

/** A write to memory that guests share had no frames for pages of its own. */
export function isShort(slot: u32, bytes: u32): bool {
  return shares(slot) && host.fact(HostFact.Reserve) <= <u64>(bytes / <u32>FRAME_BYTES + 1);
}

export function guestRead(slot: u32): u32 {
  const address = arg(GuestReadArgs.Address);
  const bytes = arg(GuestReadArgs.Bytes);
  if (bytes > <u64>GuestLimit.ReadBytes) return failWith(Status.BadRequest, bytes);
  if (!inside(slot, address, bytes)) return outside(slot, address, bytes);
  if (bytes == 0) return Status.Ok;
  if (!host.guestRead(slot, address, <u32>data(), <u32>bytes)) return refused(HostImport.GuestRead);
  added(<u32>bytes);
  return Status.Ok;
}

/** Bulk is written where it says, or is nothing: nobody waits for an answer, and a digest will tell. */
export function takeBulk(at: usize, bytes: u32): void {
  const header: u32 = Link.MessageHeaderBytes + 8 * BulkWords.Words;
  const slot = load<u32>(at);
  const address = load<u64>(at, Link.MessageHeaderBytes + 8 * BulkWords.Address);
  if (bytes <= header || !exists(slot) || !inside(slot, address, bytes - header)) countBad();
  else host.guestWrite(slot, address, <u32>at + header, bytes - header);
}
