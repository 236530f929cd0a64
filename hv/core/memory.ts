// Operations on guest RAM that fit one message: write, read. The range is checked here, and by the host again.

import { GuestLimit, GuestReadArgs, GuestWriteArgs, HostImport, Status } from "../../protocol/messages";
import { inside } from "./guests";
import * as host from "./host";
import { added, arg, argData, argsBytes, data, failWith, failWithTwo, refused } from "./message";

export function guestWrite(slot: u32): u32 {
  const address = arg(GuestWriteArgs.Address);
  const bytes = argsBytes - 8 * GuestWriteArgs.Words;
  if (!inside(slot, address, bytes)) return failWithTwo(Status.BadAddress, address, bytes);
  if (bytes == 0) return Status.Ok;
  return host.guestWrite(slot, address, <u32>argData(GuestWriteArgs.Words), bytes) ? Status.Ok : refused(HostImport.GuestWrite);
}

export function guestRead(slot: u32): u32 {
  const address = arg(GuestReadArgs.Address);
  const bytes = arg(GuestReadArgs.Bytes);
  if (bytes > <u64>GuestLimit.ReadBytes) return failWith(Status.BadRequest, bytes);
  if (!inside(slot, address, bytes)) return failWithTwo(Status.BadAddress, address, bytes);
  if (bytes == 0) return Status.Ok;
  if (!host.guestRead(slot, address, <u32>data(), <u32>bytes)) return refused(HostImport.GuestRead);
  added(<u32>bytes);
  return Status.Ok;
}
