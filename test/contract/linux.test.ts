// The main job: Debian's unmodified kernel boots as a guest, and its user space proves that it ran by what it could not know before.
// By hvkit's own library and fixture, as a user would write it.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { AgentLimit } from "../../protocol/agent.js";
import { nightly, scaled } from "../support/scale.js";
import { testsOnEach } from "./support/fixture.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

const tests = testsOnEach();

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

function tarOf(name: string, data: Uint8Array): { archive: Buffer; digest: string } {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-tar-"));
  try {
    writeFileSync(join(folder, name), data);
    return { archive: execFileSync("tar", ["-C", folder, "-c", name]), digest: sha256(data) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (!nightly)
  process.stderr.write("contract: linux: a panic that ends it, and an agent that stands, are skipped: more boots are for the night\n");

onEachEngine("linux", (target) => {
  const test = tests(target);
  const patience = (seconds: number) => ({ timeoutMs: within(target, seconds) });

  test(
    "boots to user space, prints a nonce and digests an added file, has a shell, runs commands, and powers off",
    async ({ guests }) => {
      const nonce = randomBytes(8).toString("hex");
      const data = randomBytes(70_001);
      const folder = mkdtempSync(join(tmpdir(), "hvkit-linux-"));
      const file = join(folder, "file.bin");
      writeFileSync(file, data);
      const guest = await guests.run("linux", { append: `nonce=${nonce}`, add: [file] }).finally(() => rmSync(folder, { recursive: true }));
      await guest.waitFor("hvkit: user space reached", patience(60));
      const release = await guest.waitFor(/hvkit: kernel (\S+)\r?\n/, patience(20));
      expect(release[1]).toMatch(/^6\.1\.0-\d+-cloud-amd64/);
      await guest.waitFor(`hvkit: nonce ${nonce}`, patience(20));
      await guest.waitFor(`hvkit: sha256 ${sha256(data)}`, patience(30));

      const stats = await guest.stats();
      expect(stats.nestedFaults).toBe("0");
      expect(stats.overheadBytes).toBeLessThanOrEqual(256 * 1024);
      expect(Number(stats.exits)).toBeGreaterThan(100);

      await guest.waitFor("linux:/root# ", patience(30));
      await guest.write("echo $((6 * 7))-$(uname -m)\n");
      await guest.waitFor("42-x86_64", patience(20));
      await guest.write("date +%Y; cat /proc/cmdline\n");
      await guest.waitFor(new RegExp(`(?:${new Date().getUTCFullYear()}|${new Date().getUTCFullYear() + 1})\\r?\\n`), patience(20));

      const patienceMs = within(target, 30);
      const input = randomBytes(3000);
      const [digest, apart, out] = await Promise.all([
        guest.exec(["sha256sum"], { input, patienceMs }),
        guest.exec(["sh", "-c", 'echo "$0 $PWD $A"; echo err >&2; exit 7'], { folder: "/tmp", env: { A: "b" }, patienceMs }),
        guest.exec(["head", "-c", "20000", "/dev/urandom"], { patienceMs }),
      ]);
      expect(digest.stdout.toString()).toBe(`${sha256(input)}  -\n`);
      expect({ ...apart, stdout: apart.stdout.toString(), stderr: apart.stderr.toString() }).toEqual({
        code: 7,
        signal: null,
        stdout: "sh /tmp b\n",
        stderr: "err\n",
      });
      expect(out.stdout.length).toBe(20_000);

      // tar c data | hvkit exec GUEST -- tar x
      const tar = tarOf("data", randomBytes(scaled(2 ** 14, 2 ** 16)));
      const unpacked = await guest.exec(["sh", "-c", "tar x && sha256sum data"], { folder: "/tmp", input: tar.archive, patienceMs });
      expect({ code: unpacked.code, stdout: unpacked.stdout.toString() }).toEqual({ code: 0, stdout: `${tar.digest}  data\n` });

      const controller = new AbortController();
      const aborted = guest.exec(["sleep", "1000"], { signal: controller.signal });
      await expect.poll(async () => (await guest.exec(["pidof", "sleep"])).code, { timeout: within(target, 20) }).toBe(0);
      controller.abort(new Error("enough"));
      await expect(aborted).rejects.toThrow("enough");
      expect((await guest.exec(["pidof", "sleep"])).stdout.toString()).toBe("");

      const left = guest.exec(["sleep", "1000"]);
      left.catch(() => {});
      await expect.poll(async () => (await guest.exec(["pidof", "sleep"])).code, { timeout: within(target, 20) }).toBe(0);

      // Two copies of this moment: each has a name, a number and random bytes of its own, and not the command that is the guest's.
      const asked = "hostname; generation; pidof sleep || echo none; head -c 16 /dev/urandom | sha256sum";
      const copies = await guests.clone(guest, { count: 2 });
      const told = await Promise.all(
        [guest, ...copies].map(async (each) => (await each.exec(["sh", "-c", asked], { patienceMs })).stdout.toString().split("\n")),
      );
      const details = await Promise.all(copies.map((copy) => copy.inspect()));
      expect(details.map(({ clone }) => clone?.of?.name)).toEqual([guest.name, guest.name]);
      expect(told.map(([name, generation]) => [name, generation])).toEqual([
        ["(none)", "0"],
        ...details.map(({ name, clone }) => [name, clone?.generation]),
      ]);
      expect(told.map(([, , pid]) => pid === "none")).toEqual([false, true, true]);
      expect(new Set(told.map(([, , , digest]) => digest)).size).toBe(3);
      // And a console that only it writes to.
      const [copy, other] = copies;
      await copy?.write("echo copy-$((6 * 9))\n");
      await copy?.waitFor("copy-54", patience(20));
      expect((await copy?.logs())?.toString()).not.toContain("user space reached");
      expect((await guest.logs()).toString()).not.toContain("copy-54");
      // A kernel that panics and stands still is not waited for.
      const still = other?.exec(["sh", "-c", "echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger"], { patienceMs });
      await expect(still).rejects.toMatchObject({
        code: "E_EXEC_SILENT",
        data: { panic: { reason: expect.stringContaining("sysrq triggered crash") } },
      });
      expect(await other?.inspect()).toMatchObject({ state: "running" });
      for (const each of copies) await each.rm({ force: true });

      await guest.write("poweroff\n");
      expect(await guest.ended(patience(30))).toMatchObject({ state: "exited", end: { code: "power-off" }, panic: null });
      await expect(left).rejects.toMatchObject({ code: expect.stringMatching(/^(E_EXEC_GUEST_ENDED|E_GUEST_STATE)$/) });
    },
    within(target, 180),
  );

  // A second boot of Linux: examples/kernel-module has a panic by day, on QEMU.
  test.skipIf(!nightly)(
    "panics, and ends with the reason and the trace; others go on",
    async ({ guests }) => {
      const other = await guests.run("hello64");
      const guest = await guests.run("linux");
      await guest.waitFor("linux:/root# ", patience(90));
      const crash = guest.exec(["sh", "-c", "echo c > /proc/sysrq-trigger"], { patienceMs: within(target, 30) });
      await expect(crash).rejects.toMatchObject({
        code: "E_EXEC_GUEST_ENDED",
        data: { panic: { reason: expect.stringContaining("sysrq triggered crash") } },
      });
      const { state, panic } = await guest.ended(patience(30));
      expect(state).toBe("exited");
      expect(panic?.trace.join("\n")).toMatch(/sysrq_handle_crash[\s\S]*write_sysrq_trigger/);
      const ticks = async (): Promise<number> => (await other.logs()).toString().split("tick").length;
      const before = await ticks();
      await expect.poll(ticks, { timeout: within(target, 20) }).toBeGreaterThan(before);
    },
    within(target, 180),
  );

  test.skipIf(!nightly)(
    "whose agent stands is waited for while it is paused, and given up after a minute of its own time",
    async ({ guests }) => {
      const guest = await guests.run("linux");
      await guest.waitFor("linux:/root# ", patience(90));
      const times = async (): Promise<number> => {
        const { runNs, haltNs } = await guest.stats();
        return (Number(runNs) + Number(haltNs)) / 1e9;
      };
      const before = await times();
      const words = ["sh", "-c", "echo stands >/dev/console; kill -STOP $(pidof agent); sleep 1000"];
      const still = guest.exec(words, { patienceMs: within(target, 30) });
      still.catch(() => {}); // it is waited for below
      await guest.waitFor("stands", patience(20));
      await guest.pause();
      await new Promise((resolve) => setTimeout(resolve, 1000 * (AgentLimit.SilenceSeconds + 20)));
      await guest.unpause();
      await expect(still).rejects.toMatchObject({
        code: "E_EXEC_SILENT",
        data: { panic: null, console: expect.arrayContaining(["stands"]) },
      });
      expect((await times()) - before).toBeGreaterThan(AgentLimit.SilenceSeconds);
    },
    within(target, 300),
  );
});
