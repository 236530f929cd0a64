// What `hvkit dev` sees of a save: written, replaced, made, removed, several at once; and what it does not look at.
import { getEventListeners } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sources } from "../../../control/src/dev/sources.js";

let root: string;
let sources: Sources;
const leaving = new AbortController();
const write = (name: string, text: string): void => writeFileSync(join(root, name), text);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hvkit-sources-"));
  for (const folder of ["hv", "hv/asm", "images"]) mkdirSync(join(root, folder));
  write("hv/asm/a.asm", "1");
  write("hv/b.ts", "1");
  sources = new Sources(root, ["hv", "images"]);
});
afterEach(() => {
  sources.close();
  rmSync(root, { recursive: true });
});

test("a file that is written, and when", async () => {
  const begun = Date.now();
  const next = sources.next(leaving.signal);
  setTimeout(() => write("hv/asm/a.asm", "22"), 50);
  const change = await next;
  expect(change?.files).toEqual(["hv/asm/a.asm"]);
  expect(change?.savedAt).toBeGreaterThan(begun);
  expect(change?.savedAt).toBeLessThanOrEqual(Date.now());
});

test("a file that an editor replaces, in a folder that is new", async () => {
  mkdirSync(join(root, "images/mine"));
  write("images/mine/.draft", "1");
  const next = sources.next(leaving.signal);
  setTimeout(() => renameSync(join(root, "images/mine/.draft"), join(root, "images/mine/mine.asm")), 50);
  expect((await next)?.files).toEqual(["images/mine/mine.asm"]);
});

test("several at once are one change; one that is gone is one, too", async () => {
  write("hv/b.ts", "22");
  write("hv/c.ts", "1");
  unlinkSync(join(root, "hv/asm/a.asm"));
  expect((await sources.next(leaving.signal))?.files).toEqual(["hv/asm/a.asm", "hv/b.ts", "hv/c.ts"]);
});

test("what an editor keeps beside a file is none, and the signal ends the wait", async () => {
  const ended = new AbortController();
  const next = sources.next(ended.signal);
  write("hv/.b.ts.swp", "1");
  write("hv/b.ts~", "1");
  setTimeout(() => ended.abort(), 200);
  expect(await next).toBeUndefined();
});

test("a wait of many looks leaves one listener behind, and none at its end", async () => {
  const ended = new AbortController();
  const next = sources.next(ended.signal);
  await new Promise((resolve) => setTimeout(resolve, 2500)); // longer than between two looks
  expect(getEventListeners(ended.signal, "abort")).toHaveLength(1);
  ended.abort();
  expect(await next).toBeUndefined();
  expect(getEventListeners(ended.signal, "abort")).toHaveLength(0);
});
