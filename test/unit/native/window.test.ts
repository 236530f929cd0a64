import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ioctl, mmap } from "../../../control/src/native/libc.js";
import { FileWindow } from "../../../control/src/native/window.js";

const PAGE = 4096;
let folder: string;
let fd: number;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-window-"));
  fd = openSync(join(folder, "ram"), "wx+");
  ftruncateSync(fd, 4 * PAGE);
});
afterAll(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

/** A machine with a hole: the file's second half lies far up. */
const open = (): FileWindow =>
  new FileWindow(fd, [
    { physical: 0, offset: 0, bytes: 2 * PAGE },
    { physical: 0x1_0000_0000, offset: 2 * PAGE, bytes: 2 * PAGE },
  ]);

describe("the memory window", () => {
  it("is the file: coherent both ways", () => {
    const window = open();
    window.write(PAGE - 2, Uint8Array.of(1, 2, 3, 4));
    const bytes = Buffer.alloc(4);
    readSync(fd, bytes, 0, 4, PAGE - 2);
    expect([...bytes]).toEqual([1, 2, 3, 4]);
    writeSync(fd, Buffer.from([9]), 0, 1, 2 * PAGE);
    expect([...window.read(0x1_0000_0000, 1)]).toEqual([9]);
    window.close();
  });

  it("gives copies, which stay after it is closed", () => {
    const window = open();
    window.write(0, Uint8Array.of(5));
    const copy = window.read(0, 1);
    window.write(0, Uint8Array.of(6));
    window.close();
    window.close();
    expect([...copy]).toEqual([5]);
  });

  it.each([
    [2 * PAGE - 1, 2],
    [0xffff_ffff, 2],
    [0x1_0000_0000 + 2 * PAGE, 1],
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
    [0, Number.MAX_SAFE_INTEGER],
  ])("refuses what is not all inside: %d, %d bytes", (physical, length) => {
    const window = open();
    expect(() => window.read(physical, length)).toThrow(expect.objectContaining({ code: "E_ADDRESS" }));
    if (length < PAGE) expect(() => window.write(physical, new Uint8Array(length))).toThrow(expect.objectContaining({ code: "E_ADDRESS" }));
    window.close();
  });

  it("refuses everything once closed, and does not fall into the unmapped memory", () => {
    const window = open();
    window.close();
    expect(() => window.read(0, 1)).toThrow(expect.objectContaining({ code: "E_ADDRESS" }));
    expect(() => window.write(0, Uint8Array.of(1))).toThrow(expect.objectContaining({ code: "E_ADDRESS" }));
  });

  test.prop([fc.nat(2 * PAGE - 64), fc.uint8Array({ maxLength: 64 })])("reads what was written", (physical, bytes) => {
    const window = open();
    window.write(physical, bytes);
    expect(window.read(physical, bytes.length)).toEqual(bytes);
    window.close();
  });
});

describe("libc", () => {
  it("says which call failed and why", () => {
    expect(() => mmap(-1, 0, PAGE)).toThrow(expect.objectContaining({ code: "E_SYSTEM", data: { call: "mmap", errno: "EBADF" } }));
    expect(() => ioctl(-1, 0)).toThrow(expect.objectContaining({ data: { call: "ioctl", errno: "EBADF" } }));
  });
});
