import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Catalog } from "../../../control/src/images/catalog.js";
import { imageMemory, loadPlan } from "../../../control/src/images/loader.js";
import { BootBlock } from "../../../protocol/boot.js";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hvkit-images-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function addImage(name: string, manifest: Record<string, unknown>, files: Record<string, string>): void {
  mkdirSync(join(root, "images", name), { recursive: true });
  mkdirSync(join(root, "build/images", name), { recursive: true });
  writeFileSync(join(root, "images", name, "image.json"), JSON.stringify({ name, description: name, memory: "64M", ...manifest }));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(root, "build/images", name, file), text);
}

describe("the catalog", () => {
  it("lists what can be run, and why not", async () => {
    addImage("good", { kind: "bootsector", files: { kernel: "k" } }, { k: "x" });
    addImage("unbuilt", { kind: "bootsector", files: { kernel: "k" } }, {});
    addImage("wrong", { kind: "bootsector", files: { kernel: "k" }, colour: 1 }, { k: "x" });
    mkdirSync(join(root, "images/lib"));
    const entries = await new Catalog(root).list();
    expect(entries.map(({ name, problem }) => [name, problem?.code])).toEqual([
      ["good", undefined],
      ["unbuilt", "E_IMAGE_NOT_BUILT"],
      ["wrong", "E_MANIFEST"],
    ]);
  });

  it("finds an image by its folder's path too, with the files beside the manifest", async () => {
    const folder = join(root, "mine");
    mkdirSync(folder);
    writeFileSync(
      join(folder, "image.json"),
      JSON.stringify({ name: "other", description: "d", kind: "multiboot", memory: "4M", files: { kernel: "k" } }),
    );
    writeFileSync(join(folder, "k"), "kernel");
    const image = await new Catalog(root).find(folder);
    expect(image.filesFolder).toBe(folder);
  });

  it.each([
    ["nothing", "E_NO_IMAGE"],
    ["../etc", "E_NO_IMAGE"],
    ["/nonexistent", "E_NO_IMAGE"],
  ])("refuses %s", async (reference, code) => {
    await expect(new Catalog(root).find(reference)).rejects.toMatchObject({ code });
  });

  it("refuses a manifest whose name is not its folder's", async () => {
    addImage("one", { name: "two", kind: "bootsector", files: { kernel: "k" } }, { k: "x" });
    await expect(new Catalog(root).find("one")).rejects.toMatchObject({ code: "E_MANIFEST" });
  });
});

describe("the loader", () => {
  it("joins command lines and puts the TSC's frequency in", async () => {
    addImage(
      "linux",
      { kind: "linux", commandLine: "tsc_early_khz={tscKhz} quiet", files: { kernel: "k", initrd: "i" } },
      { k: "kernel", i: "initrd" },
    );
    const image = await new Catalog(root).find("linux");
    const added = [{ path: "/added", data: Buffer.from("data") }];
    const plan = await loadPlan(image, { memoryBytes: imageMemory(image, undefined), append: "nonce=7", added, tscKhz: 2500000 });
    const block = Buffer.from(plan.placements.at(-1)?.bytes ?? []);
    const at = Number(block.readBigUInt64LE(BootBlock.CommandLine * 8)) - plan.block;
    const length = Number(block.readBigUInt64LE(BootBlock.CommandLineBytes * 8));
    expect(block.toString("utf8", at, at + length)).toBe("tsc_early_khz=2500000 quiet nonce=7");
    const initrd = Buffer.from(plan.placements.find(({ what }) => what === "initrd")?.bytes ?? []);
    expect(initrd.toString("latin1", 0, 14)).toBe(`initrd${"\0".repeat(2)}070701`);
    expect(initrd.includes("added\0")).toBe(true);
  });

  it("takes added files as modules of a multiboot image", async () => {
    addImage(
      "mb",
      { kind: "multiboot", files: { kernel: "k", modules: [{ file: "m", commandLine: "own" }] } },
      { k: "kernel", m: "module" },
    );
    const image = await new Catalog(root).find("mb");
    const plan = await loadPlan(image, {
      memoryBytes: 4 * 2 ** 20,
      append: "",
      added: [{ path: "/x", data: Buffer.from("added") }],
      tscKhz: 1,
    });
    expect(plan.placements.map(({ what, bytes }) => [what, bytes.length])).toMatchObject([
      ["module 0", 6],
      ["module 1", 5],
      ["kernel", 6],
      ["boot block", expect.anything()],
    ]);
  });

  it.each([
    ["E_APPEND", { append: "x", added: [] }],
    ["E_ADD", { append: "", added: [{ path: "x", data: Buffer.from("y") }] }],
  ])("refuses for a boot sector what cannot reach it: %s", async (code, options) => {
    addImage("bs", { kind: "bootsector", files: { kernel: "k" } }, { k: "sector" });
    const image = await new Catalog(root).find("bs");
    await expect(loadPlan(image, { memoryBytes: 2 ** 21, tscKhz: 1, ...options })).rejects.toMatchObject({ code });
  });

  it.each(["1M", "3M", "x", "8G", "0"])("refuses %s of memory", async (memory) => {
    addImage("bs", { kind: "bootsector", files: { kernel: "k" } }, { k: "sector" });
    const image = await new Catalog(root).find("bs");
    expect(() => imageMemory(image, memory)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^E_(MEMORY_)?SIZE$/) as string }),
    );
  });
});
