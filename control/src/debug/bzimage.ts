// The kernel proper out of a bzImage: an ELF file, packed by one of several programs (Linux, Documentation/x86/boot.rst: payload_offset and
// payload_length). gzip and LZ4 are unpacked here, xz, zstd, bzip2 and lzma by the program of that name.
import { spawn } from "node:child_process";
import { gunzipSync } from "node:zlib";
import { HvkitError } from "../errors.js";
import { LZ4_LEGACY_MAGIC, unpackLz4 } from "./lz4.js";

const MAGIC = 0x53726448; // "HdrS"
const SECTOR = 512;
const OUTSIDE: readonly { begins: string; program: string; options: string[] }[] = [
  { begins: "fd377a58", program: "xz", options: ["-dc", "--single-stream"] },
  { begins: "28b52ffd", program: "zstd", options: ["-dc"] },
  { begins: "425a68", program: "bzip2", options: ["-dc"] },
  { begins: "5d0000", program: "xz", options: ["-dc", "--format=lzma"] },
];

/** The ELF file vmlinux, without symbols. Errors: E_KERNEL_SYMBOLS. */
export async function unpackKernel(image: Uint8Array): Promise<Uint8Array> {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < 0x260 || view.getUint32(0x202, true) !== MAGIC) throw bad("it is no bzImage");
  const setup = ((image[0x1f1] ?? 0) || 4) + 1;
  const start = setup * SECTOR + view.getUint32(0x248, true);
  const payload = image.subarray(start, start + view.getUint32(0x24c, true));
  if (payload.length < 16) throw bad("its payload lies outside of the file");
  const packed = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const head = packed.subarray(0, 8).toString("hex");
  if (head.startsWith("7f454c46")) return packed;
  // Behind the packed data is the size that they have unpacked.
  if (head.startsWith("1f8b")) return gunzipSync(packed.subarray(0, -4));
  if (packed.readUInt32LE() === LZ4_LEGACY_MAGIC) return unpackLz4(packed.subarray(0, -4));
  const outside = OUTSIDE.find(({ begins }) => head.startsWith(begins));
  if (!outside) throw bad(`its payload is packed in a way that hvkit does not know (it begins with ${head})`);
  return unpackBy(outside.program, outside.options, packed.subarray(0, -4));
}

function unpackBy(program: string, options: readonly string[], packed: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { stdio: ["pipe", "pipe", "ignore"] });
    const parts: Buffer[] = [];
    child.once("error", () => reject(bad(`its payload is packed by ${program}, which is not installed`, `Install ${program}.`)));
    child.stdout.on("data", (part: Buffer) => parts.push(part));
    child.once("close", (code) =>
      parts.length > 0 ? resolve(Buffer.concat(parts)) : reject(bad(`${program} could not unpack it (${code})`)),
    );
    child.stdin.on("error", () => {}); // 'close' follows
    child.stdin.end(packed);
  });
}

function bad(why: string, hint = "Give gdb a file with symbols: --symbols FILE, or none: --no-symbols."): HvkitError {
  return new HvkitError("E_KERNEL_SYMBOLS", `the kernel's symbols cannot be read: ${why}`, { hint });
}
