// Files that are whole or not there: what a failure, a full disk and SIGKILL leave behind.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { markOf } from "../../../control/src/native/process.js";
import { readSnapshot } from "../../../control/src/snapshot/reader.js";
import { defaultName, SnapshotStore, snapshotFolder } from "../../../control/src/snapshot/store.js";
import { randomFrom, scaled, seedOf } from "../../support/scale.js";
import { MIB, sampleFile } from "./sample.js";

const KILLS = scaled(20, 200);
const BUILT = join(projectRoot(), "build/js/control/src/snapshot/store.js");
const WRITER = join(import.meta.dirname, "killedwriter.mjs");

let base: string;
let folder: string;
let store: SnapshotStore;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "hvkit-snapshots-"));
  folder = join(base, "hvkit/snapshots");
  store = new SnapshotStore(folder);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const put = (name: string, replace = false, bytes?: Buffer): Promise<string> =>
  store.write(name, replace, async (sink) => sink(bytes ?? (await sampleFile())));

describe("the folder of snapshots", () => {
  it("is below XDG_DATA_HOME, or the user's own", () => {
    expect(snapshotFolder({ XDG_DATA_HOME: "/data" })).toBe("/data/hvkit/snapshots");
    expect(snapshotFolder({ XDG_DATA_HOME: "relative" })).toMatch(/\/\.local\/share\/hvkit\/snapshots$/);
  });

  it("is this user's alone, and its files are", async () => {
    const path = await put("one");
    expect([statSync(folder).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(readdirSync(folder)).toEqual(["one.hvsnap"]);
  });

  it("lists what is in it, and what cannot be read with the reason", async () => {
    expect(await store.list()).toEqual([]);
    await put("two");
    writeFileSync(join(folder, "bad.hvsnap"), "no snapshot");
    writeFileSync(join(folder, "note.txt"), "something else");
    mkdirSync(join(folder, "folder.hvsnap"));
    symlinkSync("/dev/null", join(folder, "device.hvsnap"));
    const found = await store.list();
    expect(found.map(({ name, header, problem }) => [name, header?.guest.name, problem?.code])).toEqual([
      ["bad", undefined, "E_SNAPSHOT_FORMAT"],
      ["device", undefined, "E_SNAPSHOT_FORMAT"],
      ["folder", undefined, "E_SNAPSHOT_FORMAT"],
      ["two", "web", undefined],
    ]);
  });

  it("takes a name once, unless it is replaced", async () => {
    await put("one");
    await expect(put("one")).rejects.toMatchObject({ code: "E_SNAPSHOT_EXISTS" });
    const bytes = await sampleFile({ ram: Buffer.alloc(2 * MIB) });
    expect(readFileSync(await put("one", true, bytes)).equals(bytes)).toBe(true);
  });

  it("takes one writer of a name at a time", async () => {
    let go: () => void = () => {};
    const first = store.write(
      "one",
      false,
      () =>
        new Promise<void>((resolve) => {
          go = resolve;
        }),
    );
    await expect(put("one", true)).rejects.toMatchObject({ code: "E_SNAPSHOT_EXISTS" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    go();
    await first;
  });

  it.each(["", "a b", "../one", "-one", "x".repeat(64), "one/two"])("refuses the name %j", async (name) => {
    await expect(put(name)).rejects.toMatchObject({ code: "E_NAME" });
    await expect(store.open(name)).rejects.toMatchObject({ code: "E_NO_SNAPSHOT" });
    expect(() => store.remove(name)).toThrow(expect.objectContaining({ code: "E_NAME" }));
    expect(existsSync(folder)).toBe(false);
  });

  it("says that there is none of a name", async () => {
    await expect(store.open("none")).rejects.toMatchObject({ code: "E_NO_SNAPSHOT" });
    await expect(store.open("/none/at/all")).rejects.toMatchObject({ code: "E_NO_SNAPSHOT" });
    expect(() => store.remove("none")).toThrow(expect.objectContaining({ code: "E_NO_SNAPSHOT" }));
    await put("one");
    store.remove("one");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("gives a name with the time to one that gets none", () => {
    const now = new Date("2026-11-26T18:45:01.234Z");
    expect(defaultName("web", now)).toBe("web-20261126-184501");
    expect(defaultName("x".repeat(63), now)).toHaveLength(63);
  });
});

describe("a snapshot that fails while it is written", () => {
  it("leaves what was there, and no draft", async () => {
    const before = readFileSync(await put("one"));
    const failing = store.write("one", true, async (sink) => {
      await sink(Buffer.alloc(100_000));
      throw new Error("the guest is gone");
    });
    await expect(failing).rejects.toThrow("the guest is gone");
    expect(readdirSync(folder)).toEqual(["one.hvsnap"]);
    expect(readFileSync(join(folder, "one.hvsnap")).equals(before)).toBe(true);
  });

  it("on a full disk says so, and leaves what was there", async () => {
    await put("one");
    const full = store.write("one", true, async () => {
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    });
    await expect(full).rejects.toMatchObject({ code: "E_DISK_FULL" });
    expect(readdirSync(folder)).toEqual(["one.hvsnap"]);
  });

  it("and was killed leaves a draft that goes at the next start, and only then", () => {
    mkdirSync(folder, { recursive: true });
    const { pid, start } = markOf(process.pid);
    const alive = `one.hvsnap.${pid}-${start ?? ""}.new`;
    const names = [alive, `one.hvsnap.${pid}-1.new`, "two.hvsnap.999999999-5.new", "two.hvsnap", "two.new"];
    for (const name of names) writeFileSync(join(folder, name), "x");
    store.clean();
    expect(readdirSync(folder).sort()).toEqual([alive, "two.hvsnap", "two.new"].sort());
  });
});

/** A child process that replaces the snapshot again and again, by the built control plane. */
function startWriter(limitBlocks?: number): { killed: (ms: number) => Promise<void>; ended: Promise<string> } {
  const command = `${limitBlocks === undefined ? "" : `ulimit -f ${limitBlocks}; trap '' XFSZ; `}exec "${process.execPath}" "${WRITER}" "${projectRoot()}" "${folder}"`;
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
  let words = "";
  const began = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      words += text;
      resolve();
    });
  });
  const ended = new Promise<string>((resolve) => child.on("close", () => resolve(words)));
  const killed = async (ms: number): Promise<void> => {
    await began;
    await new Promise((resolve) => setTimeout(resolve, ms));
    child.kill("SIGKILL");
    await ended;
  };
  return { killed, ended };
}

const whole = async (): Promise<string> => {
  const { source, close } = await store.open("one");
  try {
    return (await readSnapshot(source)).header.description;
  } finally {
    await close();
  }
};

describe.skipIf(!existsSync(BUILT))("the old file or the new one, never neither", { timeout: 600_000 }, () => {
  it(`after SIGKILL at ${KILLS} moments`, async () => {
    await put("one");
    const random = randomFrom(seedOf(7));
    const seen = new Set<string>();
    let drafts = 0;
    let longest = 60;
    for (let turn = 0; turn < KILLS; turn++) {
      await startWriter().killed(random(longest));
      seen.add(await whole());
      // A slow disk: they are given longer, until one has come to its end.
      if (seen.size === 1) longest = Math.ceil(longest * 1.3);
      drafts += readdirSync(folder).length - 1;
      store.clean();
      expect(readdirSync(folder)).toEqual(["one.hvsnap"]);
    }
    // Some came in the middle of writing, and some writers had replaced the file before: else the test has tried nothing.
    expect(drafts).toBeGreaterThan(0);
    expect(seen.size).toBeGreaterThan(1);
  });

  it("when its disk is full", async ({ skip }) => {
    mkdirSync(folder, { recursive: true });
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=5m", "tmpfs", folder]).status !== 0) skip("only root may mount a small file system");
    try {
      await put("one");
      const words = await startWriter().ended;
      expect(words).toMatch(/E_DISK_FULL: the file system is full/);
      expect(await whole()).toMatch(/^(turn \d+)?$/);
      expect(readdirSync(folder)).toEqual(["one.hvsnap"]);
    } finally {
      spawnSync("umount", [folder]);
    }
  });

  it("when it may only have a part of the bytes", async () => {
    await put("one");
    const words = await startWriter(64).ended;
    expect(words).toMatch(/E_SNAPSHOT_FILE: .*EFBIG/);
    expect(await whole()).toBe("");
    expect(readdirSync(folder)).toEqual(["one.hvsnap"]);
  });
});
