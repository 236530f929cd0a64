// A state's random numbers follow from its number, so that each can be made again by itself.

let seed: u64 = 0;

export function start(number: u64): void {
  seed = number * 0x9e3779b97f4a7c15 + 0x5851f42d4c957f2d;
  for (let i = 0; i < 4; i++) next();
}

export function next(): u64 {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

export function below(count: u32): u32 {
  return <u32>((next() >> 20) % count);
}

export function oneIn(count: u32): bool {
  return below(count) == 0;
}

/** Near a boundary of what a field can be: a bit flipped, a sum past it, an end of a range, a value that is no address. */
export function near(value: u64): u64 {
  switch (below(8)) {
    case 0:
    case 1:
    case 2:
      return value ^ ((<u64>1) << below(64));
    case 3:
      return value ^ ((<u64>1) << below(16));
    case 4:
      return value ^ ((<u64>3) << below(62));
    case 5:
      return edge(below(12));
    case 6:
      return value ^ ((<u64>1) << (30 + below(20)));
    default:
      return value + (oneIn(2) ? 1 : -1);
  }
}

function edge(which: u32): u64 {
  switch (which) {
    case 0:
      return 0;
    case 1:
      return u64.MAX_VALUE;
    case 2:
      return 0x7fffffffffff;
    case 3:
      return 0x800000000000;
    case 4:
      return 0xffff800000000000;
    case 5:
      return 0xffff7fffffffffff;
    case 6:
      return 0xffffffff;
    case 7:
      return 0x100000000;
    case 8:
      return 0xfffff;
    case 9:
      return 0xfffff000;
    case 10:
      return 0x8000000000000000;
    default:
      return 0xffff;
  }
}
