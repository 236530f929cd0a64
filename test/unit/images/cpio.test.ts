import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { joinInitrd, writeCpio } from "../../../control/src/images/cpio.js";

describe("a newc archive", () => {
  it("has the header that the kernel's documentation gives", () => {
    const archive = Buffer.from(writeCpio([{ path: "/a", data: Buffer.from("hey"), mode: 0o755 }], 4));
    expect(archive.toString("latin1", 0, 110)).toBe(
      "070701" +
        "00000001" + // inode
        "000081ED" + // mode: regular, 755
        "00000000" + // user
        "00000000" + // group
        "00000001" + // links
        "00000000" + // modified
        "00000003" + // bytes
        "00000000".repeat(4) + // devices
        "00000002" + // name, with its NUL
        "00000000", // check
    );
    expect(archive.toString("latin1", 110, 112)).toBe("a\0");
    expect(archive.toString("latin1", 112, 116)).toBe("hey\0");
    expect(archive.includes("TRAILER!!!\0")).toBe(true);
    expect(archive.length % 4).toBe(0);
  });

  it("is the same for the same files", () => {
    const files = [{ path: "/etc/a", data: Buffer.from("1") }];
    expect(writeCpio(files)).toEqual(writeCpio(files));
  });

  it.each(["/", "", "/a/../b", "dir/", "a\0b"])("refuses the path %j", (path) => {
    expect(() => writeCpio([{ path, data: new Uint8Array(0) }])).toThrow(expect.objectContaining({ code: "E_ADD_PATH" }));
  });

  it("starts the appended archive at a multiple of 4", () => {
    const joined = joinInitrd(Buffer.from("12345"), Buffer.from("070701"));
    expect(Buffer.from(joined).toString("latin1")).toBe(`12345${"\0".repeat(3)}070701`);
  });

  it.skipIf(!existsSync("/usr/bin/cpio"))("is unpacked by cpio, folders and modes too", () => {
    const folder = mkdtempSync(join(tmpdir(), "hvkit-cpio-"));
    try {
      const archive = writeCpio([
        { path: "/usr/local/bin/test.sh", data: Buffer.from("#!/bin/sh\n"), mode: 0o755 },
        { path: "usr/local/data", data: Buffer.from("x".repeat(1001)) },
      ]);
      execFileSync("cpio", ["-idm", "--quiet"], { cwd: folder, input: archive });
      expect(readFileSync(join(folder, "usr/local/bin/test.sh"), "utf8")).toBe("#!/bin/sh\n");
      expect(readFileSync(join(folder, "usr/local/data"), "utf8")).toHaveLength(1001);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
