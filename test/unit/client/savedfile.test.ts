// A snapshot's file as a program reads it, by the package's name, with no daemon.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSnapshot } from "hvkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Register } from "../../../protocol/state.js";
import { Kernel } from "../linux/kernel.js";
import { Board } from "../machine/devices/board.js";
import { fileOf } from "../offline/saved.js";

let folder = "";
let path = "";
let file: Buffer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-saved-"));
  path = join(folder, "web.hvsnap");
  const { ram } = new Kernel().write({ text: "hello" });
  ram[0x7c00] = 0xf4;
  file = await fileOf(new Board(), { ram, registers: { [Register.Rip]: 0x7c00n, [Register.CsAttributes]: 0xc09bn } });
  writeFileSync(path, file);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a saved machine is read, and driven by hand", async () => {
  await using saved = await openSnapshot(path);
  expect([saved.path, saved.header.guest.name]).toEqual([path, "web"]);
  expect(await saved.regs()).toMatchObject({ rip: 0x7c00n });
  expect([...(await saved.mem(0x7c00, 1)), ...(await saved.read(0x7c00n, 1))]).toEqual([0xf4, 0xf4]);
  expect((await saved.disasm(undefined, 1)).instructions).toMatchObject([{ text: "hlt" }]);
  expect(await saved.walk(5n)).toMatchObject({ mode: "none", physical: 5 });
  expect(await saved.dmesg()).toMatchObject({ release: "6.1.0-test", records: [{ text: "hello" }] });
  const machine = saved.machine();
  machine.out(0x3ff, 1, 0x5a);
  expect([machine.in(0x3ff, 1), saved.machine().in(0x3ff, 1)]).toEqual([0x5a, 0]);
  expect(readFileSync(path).equals(file)).toBe(true);
});

it("what is none is refused", async () => {
  await expect(openSnapshot(join(folder, "none.hvsnap"))).rejects.toMatchObject({ code: "E_NO_SNAPSHOT" });
  const cut = join(folder, "cut.hvsnap");
  writeFileSync(cut, file.subarray(0, 5000));
  await expect(openSnapshot(cut)).rejects.toMatchObject({ code: "E_SNAPSHOT_DAMAGED" });
  const aborted = { signal: AbortSignal.abort(new Error("enough")) };
  await using saved = await openSnapshot(path);
  await expect(saved.regs(aborted)).rejects.toThrow("enough");
});
