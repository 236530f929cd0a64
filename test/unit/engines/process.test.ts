import { describe, expect, it } from "vitest";
import { EngineProcess } from "../../../control/src/engines/process.js";

const node = (script: string): string[] => [process.execPath, "-e", script];
const exit = (started: EngineProcess): Promise<[number | null, string | null]> =>
  new Promise((resolve) => started.onExit((code, signal) => resolve([code, signal])));

describe("an engine's process", () => {
  it("tells its exit, to those who ask later too, and its last words", async () => {
    const started = await EngineProcess.start({
      command: node("console.log('out'); console.error('no such machine'); process.exitCode = 3"),
    });
    expect(await exit(started)).toEqual([3, null]);
    expect(await exit(started)).toEqual([3, null]);
    expect(started.lastWords().split("\n").sort()).toEqual(["no such machine", "out"]);
    await started.stop();
  });

  it("keeps the last lines only", async () => {
    const started = await EngineProcess.start({ command: node("for (let i = 0; i < 500; i++) console.log('line ' + i)") });
    await exit(started);
    const lines = started.lastWords().split("\n");
    expect(lines).toHaveLength(40);
    expect(lines.at(-1)).toBe("line 499");
  });

  it("is ended by its signal", async () => {
    const started = await EngineProcess.start({ command: node("setInterval(() => 0, 1000)") });
    await started.stop();
    expect(await exit(started)).toEqual([null, "SIGTERM"]);
    expect(started.exited).toBe(true);
  });

  it("is ended by force when it does not listen", async () => {
    const started = await EngineProcess.start({
      command: node("process.on('SIGTERM', () => 0); console.log('up'); setInterval(() => 0, 1000)"),
    });
    while (started.lastWords() === "") await new Promise((resolve) => setTimeout(resolve, 20));
    await started.stop();
    expect(await exit(started)).toEqual([null, "SIGKILL"]);
  }, 15_000);

  it("that has no program is a clear error or an exit with words", async () => {
    const outcome = await EngineProcess.start({ command: ["/no/such/program"] }).then(exit, (error: { code: string }) => error.code);
    // With setpriv in between it is setpriv that says so.
    expect(outcome === "E_ENGINE_START" || (Array.isArray(outcome) && outcome[0] !== 0)).toBe(true);
  });
});
