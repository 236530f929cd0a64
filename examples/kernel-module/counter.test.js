// The module does what it should: each test in a guest of its own, all on one hypervisor, at the same time.
import { join } from "node:path";
import { test } from "hvkit/vitest";
import { describe, expect, inject } from "vitest";

const { folder = "", missing } = inject("modules");
if (missing) process.stderr.write(`kernel-module: skipped: the module cannot be built here: ${missing}\n`);

const add = [{ file: join(folder, "counter.ko"), path: "/counter.ko" }];

describe.skipIf(missing).concurrent("counter", () => {
  test("counts what is written to it", async ({ guests }) => {
    const guest = await guests.run("linux", { add });
    const { code, stdout, stderr } = await guest.exec([
      "sh",
      "-c",
      "insmod /counter.ko start=40 && echo a >/proc/counter && echo b >/proc/counter && cat /proc/counter",
    ]);
    expect({ code, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({ code: 0, stdout: "42\n", stderr: "" });
    expect((await guest.exec(["rmmod", "counter"])).code).toBe(0);
    expect((await guest.exec(["test", "-e", "/proc/counter"])).code).toBe(1);
  });

  test("refuses a start below 0", async ({ guests }) => {
    const guest = await guests.run("linux", { add });
    const { code, stderr } = await guest.exec(["insmod", "/counter.ko", "start=-1"]);
    expect(code).not.toBe(0);
    expect(stderr.toString()).toContain("Invalid argument");
  });
});
