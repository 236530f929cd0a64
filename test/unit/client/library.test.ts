// The library as a user has it, by the package's name, against a daemon with a fake hypervisor.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type Guest, type Hvkit, type HvkitEvent } from "hvkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EndReason } from "../../../protocol/messages.js";
import { Harness, until } from "../daemon/harness.js";

let harness: Harness;
let hvkit: Hvkit;
beforeEach(async () => {
  harness = await Harness.start();
  hvkit = await connect({ path: harness.paths.socket });
});
afterEach(async () => {
  await hvkit.close();
  await harness.stop();
});

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

describe("a connection", () => {
  it("is made to a folder's hypervisor, or not at all", async () => {
    const other = await connect({ runtimeFolder: harness.folder });
    expect(await other.status()).toMatchObject({ state: "running" });
    await other.close();
    mkdirSync(join(harness.folder, "empty"), { mode: 0o700 });
    await expect(connect({ runtimeFolder: join(harness.folder, "empty") })).rejects.toMatchObject({ code: "E_NOT_UP" });
    await expect(connect({ path: harness.paths.socket, signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });

  it("runs, finds, lists and removes guests", async () => {
    const guest = await hvkit.run("sector", { name: "web" });
    expect(guest.name).toBe("web");
    expect((await hvkit.guest("web")).id).toBe(guest.id);
    expect((await hvkit.guests()).map(({ id }) => id)).toEqual([guest.id]);
    expect(await guest.pause()).toMatchObject({ state: "paused" });
    expect(await guest.unpause({ clock: "catch-up" })).toMatchObject({ state: "running" });
    expect(await guest.regs()).toMatchObject({ rax: 0n });
    harness.hypervisor.get(1).ram.set(Buffer.from("sector"), 0x7c00);
    expect(text(await guest.mem(0x7c00, 6))).toBe("sector");
    expect(await guest.stats()).toMatchObject({ exits: "100" });
    await expect(guest.rm()).rejects.toMatchObject({ code: "E_GUEST_RUNNING" });
    await guest.rm({ force: true });
    expect(await hvkit.ps()).toEqual([]);
    await expect(hvkit.guest("web")).rejects.toMatchObject({ code: "E_NO_GUEST" });
  });

  it("holds back what the daemon would not take at once", async () => {
    const guest = await hvkit.run("sector", { name: "web" });
    const answers = await Promise.all(Array.from({ length: 300 }, () => guest.inspect()));
    expect(new Set(answers.map(({ name }) => name))).toEqual(new Set(["web"]));
    expect(answers).toHaveLength(300);
  });

  it("says what is meant where JavaScript gives a text for options, or for a list of words", async () => {
    const guest = await hvkit.run("linux", { name: "web" });
    const wrong = (value: unknown) => value as never;
    await expect(guest.snapshot(wrong("before"))).rejects.toMatchObject({
      code: "E_OPTION",
      message: 'options are an object, not "before"',
      hint: 'Write { name: "before" }.',
    });
    await expect(guest.clone(wrong(3))).rejects.toMatchObject({ code: "E_OPTION", hint: "Write { count: 3 }." });
    await expect(guest.stop(wrong(null))).rejects.toMatchObject({ code: "E_OPTION", message: "options are an object, not null" });
    await expect(hvkit.run("sector", wrong(["web"]))).rejects.toMatchObject({ code: "E_OPTION" });
    const streams = { onOutput: () => {}, onErrorOutput: () => {} };
    for (const given of [guest.exec(wrong("uname -a")), guest.spawn(wrong("uname -a"), streams)]) {
      await expect(given).rejects.toMatchObject({
        code: "E_EXEC_COMMAND",
        message: 'a command is a list of words, not "uname -a"',
        hint: expect.stringContaining('exec(["uname","-a"])') as string,
      });
    }
    await expect(guest.exec(wrong(["sleep", 1]))).rejects.toMatchObject({ code: "E_EXEC_COMMAND" });
    expect((await hvkit.ps()).map(({ name }) => name)).toEqual(["web"]);
  });

  it("puts files into guests, under their own names or others", async () => {
    writeFileSync(join(harness.folder, "one"), "1");
    const one = join(harness.folder, "one");
    const guest = await hvkit.run("linux", { add: [one, { file: one, path: "/bin/two" }] });
    expect((await guest.inspect()).added.map(({ path }) => path)).toEqual(["/add/one", "/bin/two"]);
  });

  it("waits for nobody who aborts: a run leaves no guest", async () => {
    const controller = new AbortController();
    const running = hvkit.run("sector", { name: "late", signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    await until(() => harness.hypervisor.creations === 1 && harness.hypervisor.guests.size === 0);
    await expect(hvkit.ps({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
  });

  it("makes clones of guests and of snapshots; of an aborted request none stays", async () => {
    const guest = await hvkit.run("sector", { name: "web" });
    expect((await guest.clone()).map(({ name }) => name)).toEqual(["web-1"]);
    expect((await guest.clone({ name: "test", count: 2, paused: true })).map(({ name }) => name)).toEqual(["test-1", "test-2"]);
    await guest.snapshot({ name: "one" });
    const copies = await hvkit.runFrom("one", { count: 2 });
    expect((await copies[1]?.inspect())?.clone).toMatchObject({ of: null });
    const controller = new AbortController();
    const cloning = guest.clone({ name: "late", count: 3, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(cloning).rejects.toThrow("enough");
    await until(async () => {
      const { events } = await hvkit.call("events", {});
      const late = events.filter((event) => "guest" in event && event.guest.name.startsWith("late"));
      return late.filter(({ type }) => type === "guest.removed").length === 3;
    });
    expect((await hvkit.ps()).filter(({ name }) => name.startsWith("late"))).toEqual([]);
    await expect(guest.clone({ signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
  });

  it("tells events, until it is left", async () => {
    const events = hvkit.events();
    const seen: HvkitEvent[] = [];
    const reading = (async () => {
      for await (const event of events) {
        seen.push(event);
        if (event.type === "guest.removed") break;
      }
    })();
    await hvkit.status(); // the subscription came before it
    const guest = await hvkit.run("sector", { name: "web" });
    harness.hypervisor.end(1, EndReason.TripleFault);
    await guest.rm();
    await reading;
    expect(seen.map(({ type }) => type)).toEqual(["guest.created", "guest.started", "guest.ended", "guest.removed"]);
    const aborted = hvkit.events({ signal: AbortSignal.abort(new Error("enough")) });
    await expect(aborted.next()).rejects.toThrow("enough");
  });

  it("tells that the daemon went away", async () => {
    const reading = (async () => {
      for await (const event of hvkit.events()) expect(event.type).toMatch(/^link\./);
    })();
    const failing = expect(reading).rejects.toMatchObject({ code: "E_DAEMON_LOST" });
    await hvkit.status(); // the subscription came before it
    await harness.daemon.stop();
    await failing;
    await expect(hvkit.ps()).rejects.toMatchObject({ code: "E_DAEMON_LOST" });
  });
});

describe("a guest's console", () => {
  let guest: Guest;
  beforeEach(async () => {
    guest = await hvkit.run("sector", { name: "web" });
  });

  it("is read with for await, to its end", async () => {
    harness.hypervisor.write(1, "one\ntw");
    const lines: string[] = [];
    const reading = (async () => {
      for await (const line of guest.lines()) lines.push(line);
    })();
    await until(() => lines.length === 1);
    harness.hypervisor.write(1, "o\r\nthree");
    harness.hypervisor.end(1, EndReason.PowerOff);
    await reading;
    expect(lines).toEqual(["one", "two", "three"]);
    expect(text(await guest.logs())).toBe("one\ntwo\r\nthree");
    expect(await guest.ended()).toMatchObject({ state: "exited", end: { code: "power-off" }, panic: null });
  });

  it("loses nothing for a reader that is slow, and keeps little for it", async () => {
    const part = "x".repeat(100_000);
    const reader = guest.console();
    const first = reader.next();
    harness.hypervisor.write(1, "begin");
    expect(text((await first).value ?? new Uint8Array())).toBe("begin");
    for (let count = 0; count < 60; count++) harness.hypervisor.write(1, part);
    await hvkit.status(); // all of it has come
    harness.hypervisor.end(1, EndReason.PowerOff);
    let bytes = 0;
    for await (const each of reader) bytes += each.length;
    expect(bytes).toBe(6_000_000);
  });

  it("may have several readers, each leaves for itself", async () => {
    const [one, two] = [guest.console(), guest.console()];
    harness.hypervisor.write(1, "a");
    for (const reader of [one, two]) expect(text((await reader.next()).value ?? new Uint8Array())).toBe("a");
    await one.return?.();
    harness.hypervisor.write(1, "b");
    expect(text((await two.next()).value ?? new Uint8Array())).toBe("b");
    await two.return?.();
  });

  it("is left by a reader who goes before it is open", async () => {
    const reader = guest.console();
    await reader.return?.();
    harness.hypervisor.write(1, "unread");
    expect(text((await guest.console().next()).value ?? new Uint8Array())).toBe("unread");
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  it("waits for a text, and says what was there instead", async () => {
    const waiting = guest.waitFor(/tick (\d+)/);
    harness.hypervisor.write(1, "ti");
    harness.hypervisor.write(1, "ck 7\n");
    expect((await waiting)[1]).toBe("7");
    await expect(guest.waitFor("never", { timeoutMs: 30 })).rejects.toMatchObject({
      code: "E_WAIT",
      message: expect.stringContaining("tick 7"),
    });
    await expect(guest.waitFor("never", { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
    const last = guest.waitFor("never");
    harness.hypervisor.end(1, EndReason.PowerOff);
    await expect(last).rejects.toMatchObject({ code: "E_WAIT", message: expect.stringContaining("before it ended") });
  });

  it("takes input", async () => {
    await guest.write("typed");
    expect(Buffer.concat(harness.hypervisor.get(1).typed).toString()).toBe("typed");
  });
});

describe("commands", () => {
  it("need a Linux that runs, and its agent", async () => {
    const sector = await hvkit.run("sector");
    await expect(sector.exec(["true"])).rejects.toMatchObject({ code: "E_EXEC_GUEST" });
    const linux = await hvkit.run("linux");
    await expect(linux.exec(["true"], { patienceMs: 20 })).rejects.toMatchObject({ code: "E_EXEC_NO_AGENT" });
    await expect(linux.exec(["true"], { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
    const controller = new AbortController();
    const before = harness.hypervisor.get(2).typed.length;
    const asked = linux.exec(["true"], { signal: controller.signal });
    await until(() => harness.hypervisor.get(2).typed.length > before);
    controller.abort(new Error("enough"));
    await expect(asked).rejects.toThrow("enough");
    // At whatever moment: while it is asked for the guest, or for its console.
    for (let turns = 0; turns < 12; turns++) {
      const early = new AbortController();
      const running = linux.exec(["true"], { signal: early.signal });
      running.catch(() => {});
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      early.abort(new Error("enough"));
      await expect(running).rejects.toThrow("enough");
    }
    const lost = linux.exec(["true"]);
    harness.hypervisor.end(2, EndReason.TripleFault);
    await expect(lost).rejects.toMatchObject({ code: expect.stringMatching(/^E_EXEC_GUEST_ENDED$|^E_GUEST_STATE$/) });
  });
});

describe("a guest that is not to reboot", () => {
  it("ends when it resets itself; a Linux is told to do so when it panics", async () => {
    const sector = await hvkit.run("sector", { noReboot: true });
    harness.hypervisor.end(1, EndReason.Reset);
    expect(await sector.ended()).toMatchObject({ state: "exited", restarts: 0, end: { code: "reset" } });
    const linux = await hvkit.run("linux", { noReboot: true, append: "a=b" });
    expect((await linux.inspect()).append).toBe("a=b panic=-1 oops=panic");
    harness.hypervisor.write(2, "[    1.0] Kernel panic - not syncing: sysrq triggered crash\r\n");
    harness.hypervisor.end(2, EndReason.Reset);
    expect(await linux.ended()).toMatchObject({
      end: { code: "reset" },
      panic: { reason: "sysrq triggered crash", cause: null, trace: [] },
    });
  });
});

it("is restored from a snapshot, as one that may not reboot too", async () => {
  const guest = await hvkit.run("sector", { name: "web" });
  expect(await guest.snapshot({ name: "one" })).toMatchObject({ name: "one", guest: { name: "web" } });
  expect((await hvkit.snapshots.ls()).map(({ name }) => name)).toEqual(["one"]);
  await guest.revert("one");
  const slot = (await guest.inspect()).slot ?? 0;
  harness.hypervisor.end(slot, EndReason.Reset);
  await until(async () => (await guest.inspect()).restarts === 1);
  const copy = await hvkit.restore("one", { noReboot: true });
  harness.hypervisor.end((await copy.inspect()).slot ?? 0, EndReason.Reset);
  expect(await copy.ended()).toMatchObject({ restarts: 0, end: { code: "reset" } });
  await hvkit.snapshots.rm("one");
});

it("every look at a guest can be aborted", async () => {
  const guest = await hvkit.run("sector");
  const signal = AbortSignal.abort(new Error("enough"));
  const looks = [
    () => guest.regs({ signal }),
    () => guest.mem(0, 16, { signal }),
    () => guest.read(0n, 16, { signal }),
    () => guest.disasm(0n, 1, { signal }),
    () => guest.walk(0n, { signal }),
    () => guest.why({ signal }),
    () => guest.logs({ signal }),
    () => guest.ended({ signal }),
    () => guest.panic({ signal }),
    () => guest.snapshot({ signal }),
    () => hvkit.restore("none", { signal }),
    () => hvkit.snapshots.ls({ signal }),
  ];
  for (const look of looks) await expect(look(), look.toString()).rejects.toThrow("enough");
});
