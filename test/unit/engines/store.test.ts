import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FileStore } from "../../../control/src/engines/store.js";

let folder: string;
let store: FileStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-store-"));
  store = await FileStore.create(join(folder, "store.img"), 64);
});
afterEach(async () => {
  await store.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

describe("the store disk", () => {
  it("is a sparse file that only its owner may read", () => {
    const { size, blocks, mode } = statSync(join(folder, "store.img"));
    expect([size, blocks, mode & 0o777]).toEqual([64 * 512, 8, 0o600]); // the signature is one block of 4 KiB;
  });

  it("gives back what was written, by sectors, and zeros elsewhere", async () => {
    await store.write(
      3,
      Uint8Array.from({ length: 700 }, (_, index) => index & 255),
    );
    expect([...(await store.read(4, 3))]).toEqual([0, 1, 2]);
    expect(await store.read(10, 512)).toEqual(new Uint8Array(512));
  });

  it("refuses what is not inside", async () => {
    await expect(store.write(62, new Uint8Array(513))).rejects.toMatchObject({ code: "E_STORE" });
    await expect(store.read(63, 1)).rejects.toMatchObject({ code: "E_STORE" });
    await expect(store.read(-1, 1)).rejects.toMatchObject({ code: "E_STORE" });
  });

  it("does not take over a file that is there", async () => {
    await expect(FileStore.create(join(folder, "store.img"), 1)).rejects.toMatchObject({ code: "EEXIST" });
  });
});
