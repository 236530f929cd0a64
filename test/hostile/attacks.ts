// What a broken machine module can do to itself: each must end its guest with a reason of its own, and nothing else.
// The numbers are those of test/contract/isolation.test.ts.
import { ramLoad8, ramStore64, write } from "../../hv/machine/guest";
import { hugeFrame } from "./frame";

/** Somewhere in the module's memory that always holds 0, as far as the compiler knows unknown. */
const ZERO: usize = 0;

/** Guest-physical: how many values randomFields could write; the guest itself may not live to print it. */
const TAKEN: u64 = 0x3ffff0;

/** `depth`: the calls below which attacks 12 and 13 stay for ever. */
export function attack(n: u32, depth: u32): u64 {
  switch (n) {
    case 1:
      return load<u64>(0x10000);
    case 2:
      return load<u64>(<usize>load<u32>(ZERO) - 8, 0x7ffffff8);
    case 3:
      store<u64>(0x10000, 0);
      return 0;
    case 4:
      unreachable();
      return 0;
    case 5:
      return recurse(<u32>1);
    case 6:
      return hugeFrame(ZERO, 1);
    case 7:
      return call_indirect<u32>(load<u32>(ZERO) + 0xfffff);
    case 8:
      return 1 / load<u32>(ZERO);
    case 9:
      return <u64>(i32.MIN_VALUE / (load<i32>(ZERO) - 1));
    case 10:
      for (;;) store<u64>(ZERO + 8, load<u64>(ZERO + 8) + 1);
    case 11:
      return randomFields();
    case 12:
      return spinBelow(depth);
    case 13:
      return importBelow(depth);
    default:
      return 0;
  }
}

/** No tail call: the sum needs the result. */
function recurse(depth: u32): u64 {
  return recurse(depth + 1) + load<u64>(ZERO) + depth;
}

/** The interrupts of its loop find as little stack as `depth` left. As far as the compiler knows the loop ends. */
function spinBelow(depth: u32): u64 {
  if (depth > 0) return spinBelow(depth - 1) + load<u64>(ZERO) + depth;
  while (load<u64>(ZERO) == 0) store<u64>(ZERO + 8, load<u64>(ZERO + 8) + 1);
  return 0;
}

/** The same with calls of an import, whose own frames are NASM's. */
function importBelow(depth: u32): u64 {
  if (depth > 0) return importBelow(depth - 1) + load<u64>(ZERO) + depth;
  while (load<u64>(ZERO) == 0) store<u64>(ZERO + 8, ramLoad8(0));
  return 0;
}

/** Random values into every field: the guest may end as it likes, by a failed entry for one. */
function randomFields(): u64 {
  let seed: u64 = 0x9e3779b97f4a7c15;
  let taken: u64 = 0;
  for (let round = 0; round < 20; round++) {
    for (let field: u32 = 0; field < 256; field++) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      taken += u64(write(field, seed));
    }
    ramStore64(TAKEN, taken);
  }
  return taken;
}
