// Writes the initramfs: a cpio archive in the "newc" form (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
// The same members give the same bytes: no times, no owners, inodes counted.

const types = { folder: 0o040000, file: 0o100000, link: 0o120000, device: 0o020000 };

function padded(bytes, align = 4) {
  const rest = bytes.length % align;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(align - rest)]);
}

function member({ path, kind, mode, data = Buffer.alloc(0), target, major = 0, minor = 0 }, inode) {
  const content = kind === "link" ? Buffer.from(target) : data;
  const permissions = mode ?? { folder: 0o755, link: 0o777, device: 0o600 }[kind];
  const name = Buffer.from(`${path}\0`);
  const type = types[kind] ?? 0;
  const links = kind === "folder" ? 2 : 1;
  const fields = [inode, type | permissions, 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(content)]);
}

/** `members`: {path, kind: "folder" | "file" | "link" | "device", ...}, folders before what is in them. */
export function writeArchive(members) {
  const parts = members.map((each, index) => member(each, index + 1));
  return padded(Buffer.concat([...parts, member({ path: "TRAILER!!!", mode: 0 }, 0)]), 512);
}
