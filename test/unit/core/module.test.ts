// What core is allowed to be: its imports are those of hv/core/host.ts, it has no table, its memory does not grow, it is small.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Rig } from "./rig.js";
import { coreModule, coreWasm } from "./wasm.js";

test("imports nothing but its host", () => {
  const declared = new Set([...readFileSync("hv/core/host.ts", "utf8").matchAll(/@external\("host", "(\w+)"\)/g)].map(([, name]) => name));
  for (const { module, name, kind } of WebAssembly.Module.imports(coreModule)) {
    expect([module, kind]).toEqual(["host", "function"]);
    expect(declared).toContain(name);
  }
});

test("exports init, poll and memory", () => {
  expect(
    WebAssembly.Module.exports(coreModule)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["init", "memory", "poll"]);
});

test("has neither table nor data, and less than 32 KB", () => {
  expect(sections(coreWasm).filter((id) => [TABLE, ELEMENT, DATA].includes(id))).toEqual([]);
  // 5 KB of it are the checks of an entry (hv/explain). A byte of it is about one of code, and two thirds of one in hv.img, which has 96 KiB.
  expect(coreWasm.length).toBeLessThan(32 * 1024);
});

test("its memory does not grow", () => {
  const { memory } = new Rig().core;
  expect(() => memory.grow(1)).toThrow(RangeError);
});

const TABLE = 4;
const ELEMENT = 9;
const DATA = 11;

/** Ids of the binary's sections (WebAssembly 1.0, 5.5.2). */
function sections(wasm: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < wasm.length; ) {
    ids.push(wasm[at++]);
    let size = 0;
    for (let shift = 0, byte = 0x80; byte & 0x80; shift += 7) {
      byte = wasm[at++];
      size |= (byte & 0x7f) << shift;
    }
    at += size;
  }
  return ids;
}
