// guestDigest: XXH64, seed 0, of a range of guest RAM, 64 KiB a piece; the lanes keep their values between pieces. A 32-byte stripe feeds
// four lanes; what is left at the end is mixed in by 8, 4 and 1 bytes.
// See: github.com/Cyan4973/xxHash, doc/xxhash_spec.md, "XXH64 algorithm description".

import { GuestDigestArgs, HostImport, Status } from "../../protocol/messages";
import { inside } from "./guests";
import * as host from "./host";
import { DIGEST, Size } from "./layout";
import { arg, failWithTwo, LATER, refused, word } from "./message";

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;
const STRIPE: u32 = 32;
const CHUNKS_A_STEP: u32 = 4;

let slot: u32 = 0;
let address: u64 = 0;
let total: u64 = 0;
let left: u64 = 0;
let lane1: u64 = 0;
let lane2: u64 = 0;
let lane3: u64 = 0;
let lane4: u64 = 0;

export function guestDigest(guest: u32): u32 {
  slot = guest;
  address = arg(GuestDigestArgs.Address);
  left = total = arg(GuestDigestArgs.Bytes);
  if (!inside(slot, address, total)) return failWithTwo(Status.BadAddress, address, total);
  lane1 = PRIME_1 + PRIME_2;
  lane2 = PRIME_2;
  lane3 = 0;
  lane4 = 0 - PRIME_1;
  return digestStep();
}

export function digestStep(): u32 {
  for (let i: u32 = 0; i < CHUNKS_A_STEP; i++) {
    const bytes = <u32>min<u64>(left, Size.DigestChunk);
    if (bytes > 0 && !host.guestRead(slot, address, <u32>DIGEST, bytes)) return refused(HostImport.GuestRead);
    stripes(bytes / STRIPE);
    address += bytes;
    left -= bytes;
    if (left == 0) {
      word(finish(DIGEST + (bytes & ~(STRIPE - 1)), bytes % STRIPE));
      return Status.Ok;
    }
  }
  return LATER;
}

function round(lane: u64, input: u64): u64 {
  return rotl(lane + input * PRIME_2, 31) * PRIME_1;
}

function stripes(count: u32): void {
  let a = lane1;
  let b = lane2;
  let c = lane3;
  let d = lane4;
  const end = DIGEST + count * STRIPE;
  for (let at = DIGEST; at < end; at += STRIPE) {
    a = round(a, load<u64>(at));
    b = round(b, load<u64>(at, 8));
    c = round(c, load<u64>(at, 16));
    d = round(d, load<u64>(at, 24));
  }
  lane1 = a;
  lane2 = b;
  lane3 = c;
  lane4 = d;
}

function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4;
}

function finish(tail: usize, bytes: u32): u64 {
  let hash: u64 = PRIME_5;
  if (total >= STRIPE) {
    hash = rotl(lane1, 1) + rotl(lane2, 7) + rotl(lane3, 12) + rotl(lane4, 18);
    hash = merge(merge(merge(merge(hash, lane1), lane2), lane3), lane4);
  }
  hash += total;
  while (bytes >= 8) {
    hash = rotl(hash ^ round(0, load<u64>(tail)), 27) * PRIME_1 + PRIME_4;
    tail += 8;
    bytes -= 8;
  }
  if (bytes >= 4) {
    hash = rotl(hash ^ (<u64>load<u32>(tail) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    tail += 4;
    bytes -= 4;
  }
  for (; bytes > 0; bytes--) hash = rotl(hash ^ (<u64>load<u8>(tail++) * PRIME_5), 11) * PRIME_1;
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  return hash ^ (hash >> 32);
}
