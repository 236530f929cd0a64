// Consistent overhead byte stuffing (Cheshire and Baker, 1999): frames without 00h bytes, so that 00h can close them. Decodes
// byte by byte, as the serial line delivers; used by frame.ts alone.
//
//   encoded:  code, code-1 bytes of data, code, ... ; each group but the last, and but those of code FFh, stands for its data and a 00h

/** Bytes of the current group that are still to come. */
let left: u32 = 0;
/** The current group ends with a 00h, if another one follows. */
let zeroOwed: bool = false;
/** Bytes decoded into the target. */
let length: u32 = 0;
/** Something came since the last 00h. */
let started: bool = false;
let overrun: bool = false;

export enum Decoded {
  /** the frame goes on */
  More = -1,
  /** what came is no frame: cut short, or longer than the limit */
  Bad = -2,
}

/** Takes one byte from the line. A length when it closes a frame, which is then at `target`; else a Decoded. */
export function decode(byte: u32, target: usize, max: u32): i32 {
  if (byte == 0) return close();
  started = true;
  if (left == 0) {
    if (zeroOwed) put(0, target, max);
    left = byte - 1;
    zeroOwed = byte != 0xff;
  } else {
    left--;
    put(byte, target, max);
  }
  return Decoded.More;
}

function put(byte: u32, target: usize, max: u32): void {
  if (length < max) store<u8>(target + length++, byte);
  else overrun = true;
}

/** Two 00h in a row hold no frame, and are no error. */
function close(): i32 {
  const result: i32 = !started ? Decoded.More : overrun || left != 0 ? Decoded.Bad : <i32>length;
  left = 0;
  length = 0;
  zeroOwed = false;
  started = false;
  overrun = false;
  return result;
}

/** Bytes that `count` bytes take at most, with the closing 00h. */
export function encodedBound(count: u32): u32 {
  return count + count / 254 + 2;
}

/** Encodes and closes a frame; the number of bytes at `target`. */
export function encode(from: usize, count: u32, target: usize): u32 {
  let code = target;
  let at = target + 1;
  for (let i: u32 = 0; i < count; i++) {
    const byte = load<u8>(from + i);
    if (byte != 0) store<u8>(at++, byte);
    if (byte == 0 || at - code == 0xff) {
      store<u8>(code, <u8>(at - code));
      code = at++;
    }
  }
  store<u8>(code, <u8>(at - code));
  store<u8>(at++, 0);
  return <u32>(at - target);
}
