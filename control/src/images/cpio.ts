// Writes a cpio archive in the "newc" form that Linux unpacks from its initrd (Documentation/driver-api/early-userspace/buffer-format.rst).
// `hvkit run --add` appends one to the image's initrd: the kernel unpacks archives that follow one another.
//
// A member: 6 bytes magic "070701", 13 fields of 8 hexadecimal digits, the name with its NUL, padded to 4; the data, padded to 4.
import { HvkitError } from "../errors.js";

export interface CpioFile {
  /** absolute or relative path in the guest */
  path: string;
  data: Uint8Array;
  /** permission bits, 0o644 unless told */
  mode?: number;
}

const DIRECTORY = 0o040755;
const REGULAR = 0o100000;

/** The archive, with the folders that its files need, padded to `align` bytes as loaders like it. */
export function writeCpio(files: readonly CpioFile[], align = 512): Uint8Array {
  const parts: Uint8Array[] = [];
  const folders = new Set<string>();
  let inode = 1;
  for (const { path, data, mode } of files) {
    const name = memberName(path);
    const segments = name.split("/");
    for (let depth = 1; depth < segments.length; depth++) {
      const folder = segments.slice(0, depth).join("/");
      if (folders.has(folder)) continue;
      folders.add(folder);
      parts.push(...member(folder, DIRECTORY, inode++, 2, new Uint8Array(0)));
    }
    parts.push(...member(name, REGULAR | (mode ?? 0o644), inode++, 1, data));
  }
  parts.push(...member("TRAILER!!!", 0, 0, 1, new Uint8Array(0)));
  return padTo(Buffer.concat(parts), align);
}

/** Archives after one another: each must start at a multiple of 4 (the kernel skips the zeros between them). */
export function joinInitrd(initrd: Uint8Array, archive: Uint8Array): Uint8Array {
  return initrd.length === 0 ? archive : Buffer.concat([padTo(initrd, 4), archive]);
}

function memberName(path: string): string {
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.length === 0 || segments.includes("..") || path.endsWith("/") || path.includes("\0")) {
    throw new HvkitError("E_ADD_PATH", `'${path}' is not a file's path in the guest`, { hint: "Use --add FILE:/path/in/guest." });
  }
  return segments.join("/");
}

function member(name: string, mode: number, inode: number, links: number, data: Uint8Array): Uint8Array[] {
  const nameBytes = Buffer.from(`${name}\0`);
  const modified = 0; // the same input gives the same archive
  const fields = [inode, mode, 0, 0, links, modified, data.length, 0, 0, 0, 0, nameBytes.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0")).join("")}`;
  return [padTo(Buffer.concat([Buffer.from(header), nameBytes]), 4), padTo(data, 4)];
}

function padTo(bytes: Uint8Array, align: number): Uint8Array {
  const rest = bytes.length % align;
  return rest === 0 ? bytes : Buffer.concat([bytes, new Uint8Array(align - rest)]);
}
