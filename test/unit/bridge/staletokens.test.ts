// What a bridge that was killed leaves of its token, and who removes it.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { claimToken, dropStaleTokens } from "../../../control/src/bridge/staletokens.js";
import { dropToken, makeTokenPath, markBeside } from "../../../control/src/bridge/tokenfile.js";
import { writeMark } from "../../../control/src/daemon/lock.js";

it("goes with the next bridge; tokens of bridges that run stay", async () => {
  const runtime = mkdtempSync(join(tmpdir(), "hvkit-tokens-"));
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = runtime;
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  try {
    const [killed, running, own] = [4590, 4591, 4592].map((port) => makeTokenPath(port)) as [string, string, string];
    for (const path of [killed, running]) {
      writeMark(markBeside(path), other.pid ?? 0);
      writeFileSync(path, "token");
    }
    const unmarked = makeTokenPath(4593);
    writeFileSync(unmarked, "of a build that wrote no marks");
    claimToken(own);
    writeFileSync(own, "token");
    dropStaleTokens(own);
    expect([killed, running, own, unmarked].map((path) => existsSync(path))).toEqual([true, true, true, false]);

    const ended = new Promise((resolve) => other.once("exit", resolve));
    other.kill("SIGKILL");
    await ended;
    writeMark(markBeside(running), process.pid);
    dropStaleTokens(own);
    const folder = join(own, "..");
    expect(readdirSync(folder).sort()).toEqual(["4591.token", "4591.token.json", "4592.token", "4592.token.json"]);
    dropToken(own);
    expect(readdirSync(folder)).toEqual(["4591.token", "4591.token.json"]);
    dropToken(running);
    expect(existsSync(folder)).toBe(false);
  } finally {
    other.kill("SIGKILL");
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
    rmSync(runtime, { recursive: true, force: true });
  }
});
