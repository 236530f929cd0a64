// Bytes as xxd shows them, to the character, so that its reverse (xxd -r) takes what hvkit printed.

/** As xxd: address, eight pairs of bytes, text. */
export function hexDump(bytes: Uint8Array, address: number | bigint): string {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const row = Buffer.from(bytes.subarray(offset, offset + 16));
    const groups = row.toString("hex").match(/.{1,4}/g) ?? [];
    const text = row.toString("latin1").replace(/[^\x20-\x7e]/g, ".");
    lines.push(`${(BigInt(address) + BigInt(offset)).toString(16).padStart(8, "0")}: ${groups.join(" ").padEnd(39)}  ${text}`);
  }
  return lines.join("\n");
}
