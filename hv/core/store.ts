// guestLoad and guestSave: whole sectors between the store disk and guest RAM, 64 KiB a piece. A last sector that is only partly wanted
// bounces: it goes through 512 bytes of the guest's RAM whose content is kept meanwhile, since the host moves whole sectors only.

import { GuestLimit, GuestStoreArgs, HostImport, Op, Status } from "../../protocol/messages";
import { inside, memoryBytes } from "./guests";
import * as host from "./host";
import { HostFact } from "./host";
import { BOUNCE, BOUNCE_KEPT } from "./layout";
import { isShort, outside } from "./memory";
import { arg, failWith, failWithTwo, LATER, refused } from "./message";

const SECTOR: u32 = GuestLimit.SectorBytes;
/** What the host moves in one call at most. */
const SECTORS_A_STEP: u64 = 128;
const REFUSED: u32 = 0xffffffff;

let slot: u32 = 0;
let address: u64 = 0;
let sector: u64 = 0;
let left: u64 = 0;

export function guestLoad(guest: u32): u32 {
  const status = begin(guest);
  return status == Status.Ok ? loadStep() : status;
}

export function guestSave(guest: u32): u32 {
  const status = begin(guest);
  return status == Status.Ok ? saveStep() : status;
}

function begin(guest: u32): u32 {
  slot = guest;
  address = arg(GuestStoreArgs.Address);
  sector = arg(GuestStoreArgs.Sector);
  left = arg(GuestStoreArgs.Bytes);
  const sectors = host.fact(HostFact.StoreSectors);
  if (sectors == 0) return failWith(Status.NoStore, 0);
  if (left > <u64>GuestLimit.MaxSectors * SECTOR) return failWith(Status.BadRequest, left);
  if (sector > sectors || (left + SECTOR - 1) / SECTOR > sectors - sector) return failWith(Status.BadRequest, sector);
  return Status.Ok;
}

export function loadStep(): u32 {
  return step(Op.GuestLoad);
}

export function saveStep(): u32 {
  return step(Op.GuestSave);
}

function step(op: u32): u32 {
  if (!inside(slot, address, left)) return outside(slot, address, left);
  if (left == 0) return Status.Ok;
  const count = min(left / SECTOR, SECTORS_A_STEP);
  const status = count == 0 ? bounce(op, <u32>left) : move(op, <u32>count, address);
  if (status != Status.Ok) return status;
  const moved = count == 0 ? left : count * SECTOR;
  address += moved;
  sector += max(count, 1);
  left -= moved;
  return left == 0 ? Status.Ok : LATER;
}

function move(op: u32, count: u32, at: u64): u32 {
  const load = op == Op.GuestLoad;
  const result = load ? host.storeRead(sector, count, slot, at) : host.storeWrite(sector, count, slot, at);
  if (result == 0) return Status.Ok;
  if (result != REFUSED) return failWith(Status.StoreFailed, result);
  if (!load) return refused(HostImport.StoreWrite);
  return isShort(slot, count * SECTOR) ? failWithTwo(Status.NoMemory, count * SECTOR, 0) : refused(HostImport.StoreRead);
}

/** The last `bytes` of a transfer, less than a sector. */
function bounce(op: u32, bytes: u32): u32 {
  const at = min(address, memoryBytes(slot) - SECTOR);
  if (!host.guestRead(slot, at, <u32>BOUNCE_KEPT, SECTOR)) return refused(HostImport.GuestRead);
  let status: u32;
  if (op == Op.GuestLoad) {
    status = move(op, 1, at);
    if (status == Status.Ok && !host.guestRead(slot, at, <u32>BOUNCE, SECTOR)) status = refused(HostImport.GuestRead);
  } else {
    memory.fill(BOUNCE, 0, SECTOR);
    memory.copy(BOUNCE, BOUNCE_KEPT + <usize>(address - at), bytes);
    if (!host.guestWrite(slot, at, <u32>BOUNCE, SECTOR)) return refused(HostImport.GuestWrite);
    status = move(op, 1, at);
  }
  if (!host.guestWrite(slot, at, <u32>BOUNCE_KEPT, SECTOR)) return refused(HostImport.GuestWrite);
  if (op == Op.GuestLoad && status == Status.Ok && !host.guestWrite(slot, address, <u32>BOUNCE, bytes))
    return refused(HostImport.GuestWrite);
  return status;
}
