// guestDigest: XXH64, seed 0, of a range of guest RAM, 256 KiB a piece; the lanes keep their values between pieces. A 32-byte stripe feeds
// four lanes, which the host does in place; what is left at the end is mixed in by 8, 4 and 1 bytes.
// See: github.com/Cyan4973/xxHash, doc/xxhash_spec.md, "XXH64 algorithm description".

import { GuestDigestArgs, HostImport, Status } from "../../protocol/messages";
import { inside } from "./guests";
import * as host from "./host";
import { DIGEST } from "./layout";
import { outside } from "./memory";
import { arg, LATER, refused, word } from "./message";

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;
const STRIPE: u32 = 32;
const STRIPES_A_STEP: u64 = 8192;

let slot: u32 = 0;
let address: u64 = 0;
let total: u64 = 0;
let left: u64 = 0;
// The four lanes, then the last bytes, lie at DIGEST.
const TAIL: usize = DIGEST + 32;

export function guestDigest(guest: u32): u32 {
  slot = guest;
  address = arg(GuestDigestArgs.Address);
  left = total = arg(GuestDigestArgs.Bytes);
  store<u64>(DIGEST, PRIME_1 + PRIME_2);
  store<u64>(DIGEST, PRIME_2, 8);
  store<u64>(DIGEST, 0, 16);
  store<u64>(DIGEST, 0 - PRIME_1, 24);
  return digestStep();
}

export function digestStep(): u32 {
  if (!inside(slot, address, left)) return outside(slot, address, left);
  const stripes = <u32>min<u64>(left / STRIPE, STRIPES_A_STEP);
  if (stripes > 0) {
    if (!host.guestStripes(slot, address, stripes, <u32>DIGEST)) return refused(HostImport.GuestRead);
    address += stripes * STRIPE;
    left -= stripes * STRIPE;
  }
  if (left >= STRIPE) return LATER;
  if (left > 0 && !host.guestRead(slot, address, <u32>TAIL, <u32>left)) return refused(HostImport.GuestRead);
  word(finish(TAIL, <u32>left));
  return Status.Ok;
}

function round(lane: u64, input: u64): u64 {
  return rotl(lane + input * PRIME_2, 31) * PRIME_1;
}

function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4;
}

function finish(tail: usize, bytes: u32): u64 {
  let hash: u64 = PRIME_5;
  if (total >= STRIPE) {
    const lane1 = load<u64>(DIGEST);
    const lane2 = load<u64>(DIGEST, 8);
    const lane3 = load<u64>(DIGEST, 16);
    const lane4 = load<u64>(DIGEST, 24);
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
