// What hvkit/vitest does with a test's guests when it ends, against a daemon with a fake hypervisor.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type Hvkit } from "hvkit";
import { TestGuests, test as withGuests } from "hvkit/vitest";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ArtifactFolders } from "../../../control/src/vitest/folders.js";
import { folderName, titleOf } from "../../../control/src/vitest/title.js";
import { EndReason } from "../../../protocol/messages.js";
import { Harness } from "../daemon/harness.js";

let harness: Harness;
let hvkit: Hvkit;
let said: string[];
beforeEach(async () => {
  harness = await Harness.start();
  hvkit = await connect({ path: harness.paths.socket });
  said = [];
});
afterEach(async () => {
  await hvkit.close();
  await harness.stop();
});

const artifacts = (): string => join(harness.folder, "artifacts");
const testGuests = (title: string, run = new ArtifactFolders()): TestGuests =>
  new TestGuests(hvkit, artifacts(), title, (line) => said.push(line), run);

describe("a test's guests", () => {
  it("go when it ends, however they stand; others stay", async () => {
    const other = await hvkit.run("sector");
    const guests = testGuests("passes");
    await guests.run("sector");
    const ended = await guests.run("sector");
    harness.hypervisor.end(3, EndReason.TripleFault);
    await ended.ended();
    await (await guests.run("sector")).pause();
    await (await guests.run("sector")).rm({ force: true });
    guests.adopt(await hvkit.run("sector"));
    await guests.end(false);
    expect((await hvkit.ps()).map(({ id }) => id)).toEqual([other.id]);
    expect(said).toEqual([]);
    expect(existsSync(artifacts())).toBe(false);
  });

  it("end when they reset themselves, unless they are to go on", async () => {
    const guests = testGuests("resets");
    const guest = await guests.run("sector");
    harness.hypervisor.end(1, EndReason.Reset);
    expect(await guest.ended()).toMatchObject({ restarts: 0, end: { code: "reset" } });
    expect((await (await guests.run("sector", { noReboot: false })).inspect()).launch).toMatchObject({ noReboot: false });
    await guests.end(false);
  });

  it("of a test that failed leave what is known of them, in a folder that is told", async () => {
    const guests = testGuests("fails badly: a/b");
    const running = await guests.run("sector", { name: "one" });
    harness.hypervisor.write(1, "last words");
    harness.hypervisor.write(1, "second", 1);
    const panicked = await guests.run("linux", { name: "two" });
    harness.hypervisor.write(2, "[ 1.0] Kernel panic - not syncing: why\n");
    harness.hypervisor.end(2, EndReason.Reset);
    await panicked.ended();
    await guests.end(true);
    const folder = join(artifacts(), "fails-badly-a-b");
    expect(said).toEqual([expect.stringContaining(folder)]);
    const kept = (guest: string): string[] => readdirSync(join(folder, guest)).sort();
    const always = ["console.log", "exits.json", "guest.json", "registers.json"];
    expect(kept("one")).toEqual([...always, "console1.log", "snapshot.hvsnap"].sort());
    expect(kept("two")).toEqual([...always, "missing.txt", "panic.json"].sort());
    const read = (guest: string, file: string): string => readFileSync(join(folder, guest, file), "utf8");
    expect(read("one", "console.log")).toBe("last words");
    expect(read("one", "console1.log")).toBe("second");
    expect(JSON.parse(read("one", "guest.json"))).toMatchObject({ id: running.id, state: "running" });
    expect(JSON.parse(read("one", "registers.json"))).toMatchObject({ rcx: "0x1111" });
    expect(JSON.parse(read("two", "panic.json"))).toEqual({ reason: "why", cause: null, trace: [] });
    expect(read("two", "missing.txt")).toBe("snapshot.hvsnap: the guest is exited\n");
    expect(await hvkit.snapshots.ls()).toEqual([]);
    expect(await hvkit.ps()).toEqual([]);
    // The next run of the test begins anew.
    await testGuests("fails badly: a/b").end(false);
    expect(existsSync(folder)).toBe(false);
  });

  it("of one title, or of several tries, erase nothing of one another's in a run", async () => {
    const run = new ArtifactFolders();
    const fail = async (name: string, title = "same"): Promise<void> => {
      const guests = testGuests(title, run);
      await guests.run("sector", { name });
      await guests.end(true);
    };
    const tries = Promise.all([fail("one"), fail("two")]);
    await tries;
    await fail("three");
    await fail("other", "same 2");
    await testGuests("same", run).end(false); // the try that passed
    const found = Object.fromEntries(readdirSync(artifacts()).map((folder) => [folder, readdirSync(join(artifacts(), folder))[0]]));
    expect(Object.keys(found).sort()).toEqual(["same", "same-2", "same~2", "same~3"]);
    expect(Object.values(found).sort()).toEqual(["one", "other", "three", "two"]);
    expect(new Set(said).size).toBe(4);
    for (const folder of Object.keys(found)) expect(said.join("\n")).toMatch(new RegExp(`${folder}$`, "m"));
    // The next run begins anew, with this test's alone.
    await testGuests("same").end(false);
    expect(readdirSync(artifacts())).toEqual(["same-2"]);
  });
});

it("names a test's folder by its file, its groups and itself", ({ task }) => {
  expect(folderName(titleOf(task))).toBe("guests.test.ts-names-a-test-s-folder-by-its-file-its-groups-and-itself");
  expect(folderName("../..")).toBe("test");
  expect(typeof withGuests).toBe("function");
});
