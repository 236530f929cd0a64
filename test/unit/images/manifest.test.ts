import { describe, expect, it } from "vitest";
import { HvkitError } from "../../../control/src/errors.js";
import { KIND_NUMBER, parseManifest } from "../../../control/src/images/manifest.js";
import { GuestKind } from "../../../protocol/messages.js";

const good = {
  name: "hello",
  description: "Says hello",
  kind: "linux",
  memory: "128M",
  files: { kernel: "vmlinuz", initrd: "initrd.img" },
};

function problemOf(manifest: unknown): string {
  try {
    parseManifest(typeof manifest === "string" ? manifest : JSON.stringify(manifest), "images/hello/image.json");
  } catch (error) {
    expect(error).toBeInstanceOf(HvkitError);
    expect((error as HvkitError).code).toBe("E_MANIFEST");
    return (error as Error).message;
  }
  throw new Error("accepted");
}

describe("a manifest", () => {
  it("has its defaults filled in", () => {
    const manifest = parseManifest(JSON.stringify(good), "image.json");
    expect(manifest.commandLine).toBe("");
    expect(manifest.files.modules).toEqual([]);
    expect(KIND_NUMBER[manifest.kind]).toBe(GuestKind.Linux);
  });

  it.each([
    ["a wrong type", { ...good, files: { kernel: 7 } }, "images/hello/image.json: files.kernel: expected string, received number"],
    ["an unknown key", { ...good, memroy: "1G" }, 'the manifest: unrecognized key: "memroy"'],
    ["an unknown key below", { ...good, files: { ...good.files, inird: "x" } }, 'files: unrecognized key: "inird"'],
    ["an unknown kind", { ...good, kind: "windows" }, 'kind: expected one of "linux"|"multiboot"|"bootsector"'],
    ["a missing kernel", { ...good, files: {} }, "files.kernel: expected string, received undefined"],
    ["a memory that is no size", { ...good, memory: "lots" }, "memory: expected a size such as 128M"],
    ["a path that leaves the folder", { ...good, files: { kernel: "../../etc/passwd" } }, "files.kernel: expected a relative file name"],
    ["an absolute path", { ...good, files: { kernel: "/etc/passwd" } }, "files.kernel: expected a relative file name"],
    ["an initrd of a multiboot image", { ...good, kind: "multiboot" }, "files.initrd: a multiboot image has no initrd"],
    [
      "modules of a linux image",
      { ...good, files: { ...good.files, modules: [{ file: "m" }] } },
      "files.modules: a linux image has no modules",
    ],
    [
      "a boot sector's command line",
      { ...good, kind: "bootsector", files: { kernel: "k" }, commandLine: "x" },
      "commandLine: a bootsector image",
    ],
    ["no object", [], "the manifest: expected object, received array"],
    ["no JSON", "{", "images/hello/image.json: not JSON"],
  ])("refuses %s, with the path and what was expected", (_what, manifest, message) => {
    expect(problemOf(manifest)).toContain(message);
  });

  it("names every problem at once", () => {
    const message = problemOf({ ...good, memory: 128, extra: 1 });
    expect(message).toContain("memory: expected string, received number");
    expect(message).toContain('unrecognized key: "extra"');
  });
});
