// Who is told of ^C and its like. A signal comes to a process of its own: what is left when nobody waits is its end.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../control/src/api/root.js";

const BUILT = join(projectRoot(), "build/js/control/src/interrupts.js");

interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
}

/** What a program writes and how it ends. It sends itself the signals: they have come when kill() returns, and are told within whole turns of the
 *  event loop, however busy the machine is. */
function ran(program: string): Promise<End> {
  const script = `
    import { ENDS_AND_HANGUP, Interrupts, interruption } from ${JSON.stringify(pathToFileURL(BUILT).href)};
    const say = (text) => process.stdout.write(text + "\\n");
    const kill = (signal) => process.kill(process.pid, signal);
    const turns = async () => {
      for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve));
    };
    ${program}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, out })));
}

describe.skipIf(!existsSync(BUILT))("a signal", { timeout: 120_000 }, () => {
  test("that has come when one stops waiting and another begins is told to the other", async () => {
    const end = await ran(`
      const first = new Interrupts(() => say("first"));
      await turns();
      kill("SIGINT");
      first.close();
      const second = new Interrupts((signal) => say("second " + signal));
      await turns();
      second.close();`);
    expect(end).toEqual({ code: 0, signal: null, out: "second SIGINT\n" });
  });

  test("ends the process when nobody waits any more, even if it came while somebody did", async () => {
    const came = await ran(`
      const first = new Interrupts(() => say("first"));
      await turns();
      kill("SIGTERM");
      first.close();
      await turns();
      say("went on");`);
    expect(came).toEqual({ code: null, signal: "SIGTERM", out: "" });
    const later = await ran(`
      new Interrupts(() => say("first")).close();
      await turns();
      kill("SIGINT");
      await turns();
      say("went on");`);
    expect(later).toEqual({ code: null, signal: "SIGINT", out: "" });
  });

  test("is told to all that wait for it, as often as it comes, and to a listener put in one's place", async () => {
    const end = await ran(`
      const all = [new Interrupts(() => say("one")), new Interrupts(() => say("two"), ENDS_AND_HANGUP), new Interrupts(() => say("int"), ["SIGINT"])];
      for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"]) {
        kill(signal);
        await turns();
      }
      all[0].tell((signal) => say("now " + signal));
      kill("SIGTERM");
      await turns();`);
    expect(end).toEqual({ code: 0, signal: null, out: "one\ntwo\ntwo\none\ntwo\nint\nnow SIGTERM\ntwo\n" });
  });

  test("that nobody waits for is left to a program's own listener", async () => {
    const end = await ran(`
      new Interrupts(() => say("ours")).close();
      process.on("SIGINT", () => say("its own"));
      kill("SIGINT");
      await turns();`);
    expect(end).toEqual({ code: 0, signal: null, out: "its own\n" });
  });

  test("aborts once; the second one ends the process", async () => {
    const end = await ran(`
      const signal = interruption();
      kill("SIGINT");
      await turns();
      say(String(signal.aborted));
      kill("SIGINT");
      await turns();
      say("went on");`);
    expect(end).toEqual({ code: null, signal: "SIGINT", out: "true\n" });
  });

  test("is listened for in one place", () => {
    const folder = join(projectRoot(), "control/src");
    const listening = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter(
        (file) => file.endsWith(".ts") && /process\.(?:on|once|off)\((?:"SIG|signal\b)/.test(readFileSync(join(folder, file), "utf8")),
      )
      .sort();
    // The daemon lives until one comes, and listens from its first moment to its last.
    expect(listening).toEqual(["daemon/main.ts", "interrupts.ts"]);
  });
});
