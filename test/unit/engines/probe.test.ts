import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ownerOf } from "../../../control/src/engines/peer.js";
import { findProgram, folderWithRoom, requireProgram } from "../../../control/src/engines/probe.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-probe-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a program in PATH", () => {
  it("is the first executable file of its name", () => {
    for (const name of ["a", "b", "c"]) mkdirSync(join(folder, name));
    mkdirSync(join(folder, "a", "tool"));
    writeFileSync(join(folder, "b", "tool"), "");
    writeFileSync(join(folder, "c", "tool"), "");
    chmodSync(join(folder, "b", "tool"), 0o644);
    chmodSync(join(folder, "c", "tool"), 0o755);
    const path = ["a", "b", "c"].map((name) => join(folder, name)).join(":");
    expect(findProgram("tool", `:${path}`)).toBe(join(folder, "c", "tool"));
    expect(findProgram("other", path)).toBeUndefined();
  });

  it("that is missing is an error with the packages", () => {
    expect(() => requireProgram("QEMU", "no-such-program", "Debian: qemu-system-x86")).toThrow(
      expect.objectContaining({ code: "E_ENGINE_MISSING", hint: "Install it: Debian: qemu-system-x86." }),
    );
  });
});

describe("room for a file", () => {
  const MIB = 2 ** 20;
  const free = (where: string): number => ({ "/small": 100 * MIB, "/big": 1000 * MIB })[where] ?? -1;

  it("is taken from the first folder that has it, with a reserve", () => {
    expect(folderWithRoom(["/gone", "/small", "/big"], 80 * MIB, "it", free)).toBe("/small");
    expect(folderWithRoom(["/gone", "/small", "/big"], 90 * MIB, "it", free)).toBe("/big");
  });

  it("that is nowhere is E_DISK_FULL, with what each folder has", () => {
    expect(() => folderWithRoom(["/small", "/gone"], 2000 * MIB, "the machine's memory", free)).toThrow(
      expect.objectContaining({
        code: "E_DISK_FULL",
        message: "No room for the machine's memory of 2000 MiB: /small has 100 MiB, /gone has 0 MiB.",
      }),
    );
    expect(() => folderWithRoom([folder], 2 ** 60, "it")).toThrow(expect.objectContaining({ code: "E_DISK_FULL" }));
  });
});

describe("the owner of a connection", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0",
    "   1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0 20 4 30 10 -1",
    "   2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0 20 4 30 10 -1",
  ].join("\n");

  it("is found by both ports", () => {
    expect(ownerOf(table, 0xd431, 0x1f90)).toBe(1001);
    expect(ownerOf(table, 0x1f90, 0xd431)).toBe(1000);
    expect(ownerOf(table, 0xd432, 0x1f90)).toBeUndefined();
    expect(ownerOf("", 1, 2)).toBeUndefined();
  });
});
