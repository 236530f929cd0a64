// Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): bytes without 00h, so that 00h can end a frame. Used by frame.
//
//   code n, 1..254   n-1 bytes follow, then a 00h that was in the data (or its end)
//   code 255         254 bytes follow, and no 00h after them

const LONGEST = 255;

/** Bytes that n bytes become at most, without the closing 00h. */
export const cobsMax = (n: number): number => n + Math.ceil((n + 1) / 254);

/** Encodes, and closes with one 00h. */
export function cobsEncode(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(cobsMax(data.length) + 1);
  let codeAt = 0;
  let at = 1;
  for (let index = 0; index < data.length; index++) {
    const byte = data[index];
    if (byte !== 0) out[at++] = byte;
    if (byte === 0 || at - codeAt === LONGEST) {
      out[codeAt] = at - codeAt;
      codeAt = at++;
    }
  }
  out[codeAt] = at - codeAt;
  out[at++] = 0;
  return out.subarray(0, at);
}

/** Decodes what stood before the 00h; undefined when a code points past the end or there is a 00h inside. */
export function cobsDecode(encoded: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(encoded.length);
  let size = 0;
  for (let at = 0; at < encoded.length; ) {
    const code = encoded[at++];
    if (code === 0 || at + code - 1 > encoded.length) return undefined;
    for (let left = code - 1; left > 0; left--) {
      const byte = encoded[at++];
      if (byte === 0) return undefined;
      out[size++] = byte;
    }
    if (code < LONGEST && at < encoded.length) out[size++] = 0;
  }
  return out.subarray(0, size);
}
