// The debugger's hold on a guest, on each engine: a guest that is stepped through all that a step must know computes what it does alone;
// breakpoints, watchpoints and their ends.
import { expect, test } from "vitest";
import { BreakpointType } from "../../control/src/debug/breakpoints.js";
import { Cpu } from "../../control/src/debug/cpu.js";
import { Runner } from "../../control/src/debug/runner.js";
import { Register } from "../../protocol/state.js";
import { DirectTarget } from "./support/debugtarget.js";
import type { Guest } from "./support/guest.js";
import { useMachine, within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

onEachEngine("debugger", (target) => {
  const machine = useMachine(target);

  const attach = async (guest: Guest): Promise<{ direct: DirectTarget; cpu: Cpu; runner: Runner }> => {
    const direct = await DirectTarget.attach(machine(), guest);
    const cpu = new Cpu(direct);
    const runner = new Runner(direct, cpu);
    direct.events = { stop: (stop) => runner.stopped(stop), end: () => {} };
    return { direct, cpu, runner };
  };
  const places = async (guest: Guest): Promise<{ round: bigint; watched: bigint }> => {
    const [, round = "", watched = ""] = await guest.shows(/round at (\w{16}) watched at (\w{16})/);
    return { round: BigInt(`0x${round}`), watched: BigInt(`0x${watched}`) };
  };
  const hashes = (guest: Guest): Map<string, string> =>
    new Map([...guest.console.matchAll(/round (\d+) hash (\w+)/g)].map(([, round = "", hash = ""]) => [round, hash]));

  test(
    "a guest that is stepped through a round prints the hash that it prints alone",
    async () => {
      const alone = await machine().run("steps");
      await alone.shows(/round 20 hash \w+/, 30);
      const expected = hashes(alone);
      await alone.remove();
      const guest = await machine().run("steps");
      const { round } = await places(guest);
      const { cpu, runner } = await attach(guest);
      runner.breakpoints.add({ type: BreakpointType.Hardware, address: round, length: 1 });
      expect(await runner.continue()).toMatchObject({ why: "breakpoint", breakpoint: { address: round } });
      const first = Number((await cpu.memory.read(round, 1))[0]);
      expect(first).toBe(0x48);
      const seen = new Set<bigint>();
      let steps = 0;
      // To the call of `report`, whose thousand instructions are not worth it.
      const last = await reportCall(cpu, round);
      for (; (await cpu.get(Register.Rip)) !== last; steps++) {
        expect(steps).toBeLessThan(1000);
        expect(await runner.step()).toEqual({ why: "step" });
        seen.add(await cpu.get(Register.Rip));
      }
      expect(seen.size).toBeGreaterThan(50);
      const at = await cpu.get(Register.Rflags);
      expect(at & 0x100n).toBe(0n);
      expect(await runner.continue()).toMatchObject({ why: "breakpoint" });
      const [, number = ""] = /.*round (\d+) hash/s.exec(guest.console) ?? [];
      expect(hashes(guest).get(number)).toBe(expected.get(number));
    },
    within(target, 90),
  );

  test(
    "watchpoints and software breakpoints stop it; its memory shows neither; detached, it runs on",
    async () => {
      const guest = await machine().run("steps");
      const { round, watched } = await places(guest);
      const { direct, cpu, runner } = await attach(guest);
      const watch = { type: BreakpointType.Write, address: watched, length: 4 };
      runner.breakpoints.add(watch);
      for (let count = 0; count < 2; count++) {
        expect(await runner.continue()).toMatchObject({ why: "breakpoint", breakpoint: watch });
        // The instruction that wrote is done: `mov [watched], eax` is before it.
        const before = await cpu.memory.read((await cpu.get(Register.Rip)) - 7n, 7);
        expect(Buffer.from(before).toString("hex")).toMatch(/^890425/);
      }
      runner.breakpoints.remove(watch);
      const software = { type: BreakpointType.Software, address: round, length: 1 };
      for (let count = 0; count < 2; count++) {
        runner.breakpoints.add(software);
        expect(await runner.continue()).toEqual({ why: "software" });
        expect(await cpu.get(Register.Rip)).toBe(round);
        expect((await cpu.memory.read(round, 1))[0]).toBe(0x48);
        runner.breakpoints.clear();
        await runner.step();
      }
      // A breakpoint that lies in memory when the debugger goes, where nothing is executed.
      runner.breakpoints.add({ type: BreakpointType.Software, address: watched, length: 1 });
      void runner.continue();
      await guest.shows(/round \d+ hash/, 10, guest.console.length);
      await machine().hypervisor.guestPause(guest.slot);
      await direct.detach();
      await guest.shows(/(?:round \d+ hash.*\s+steps: ){4}/, 20, guest.console.length);
    },
    within(target, 60),
  );

  test(
    "a watchpoint on what the hypervisor has at that address is refused, or watches the guest alone",
    async () => {
      const guest = await machine().run("steps");
      await places(guest);
      const { direct, cpu, runner } = await attach(guest);
      // The image's data and stacks end below 2 MiB; the run loop's stack.
      for (const address of [0x13_0000n, 0x6400_0000_8000n]) {
        runner.breakpoints.add({ type: BreakpointType.Access, address, length: 8 });
        const run = runner.continue();
        if (target.vendor === "AMD SVM") await expect(run).rejects.toMatchObject({ code: "E_HV_REFUSED" });
        else {
          await stopRun(direct, runner, run);
        }
        runner.breakpoints.clear();
        cpu.forget();
      }
      // Where the host executes, it passes over: the guest's own place is reached.
      const { round } = await places(guest);
      runner.breakpoints.add({ type: BreakpointType.Hardware, address: round, length: 1 });
      for (let place = 1n; place < 4n; place++)
        runner.breakpoints.add({ type: BreakpointType.Hardware, address: 0x10_2000n + place, length: 1 });
      expect(await runner.continue()).toMatchObject({ why: "breakpoint", breakpoint: { address: round } });
      await machine().hypervisor.ping();
      await direct.detach();
    },
    within(target, 60),
  );

  test(
    "a guest that waits in HLT: a step ends at the handler of the interrupt that wakes it",
    async () => {
      const guest = await machine().run("hello64", { append: "hz=20" });
      await guest.shows("tick 1");
      const { direct, cpu, runner } = await attach(guest);
      for (let tries = 0; !(await cpu.pending()).halted && tries < 20; tries++) {
        await runBriefly(direct, runner);
      }
      expect((await cpu.pending()).halted).toBe(true);
      expect(await runner.step()).toEqual({ why: "step" });
      const idt = await cpu.get(Register.IdtrBase);
      const gate = Buffer.from(await cpu.memory.read(idt + 0x20n * 16n, 8));
      expect(await cpu.get(Register.Rip)).toBe(BigInt(gate.readUInt16LE(0) + gate.readUInt16LE(6) * 0x10000));
      await direct.detach();
      await guest.shows(/tick [3-9]/, 20);
    },
    within(target, 60),
  );

  test(
    "a debugged guest's own debug exceptions, INT3s and debug registers stay its own",
    async () => {
      const guest = await machine().run("torture");
      const { runner } = await attach(guest);
      void runner.continue();
      await guest.shows(" checks, 0 failed", 60);
    },
    within(target, 120),
  );
});

async function runBriefly(direct: DirectTarget, runner: Runner): Promise<void> {
  await stopRun(direct, runner, runner.continue());
}

/** Some of the guest's time after it was let go. */
async function stopRun(direct: DirectTarget, runner: Runner, run: Promise<unknown>): Promise<void> {
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  while (!runner.running) await sleep(2);
  await sleep(30);
  await direct.pause();
  await run;
}

/** The address of the `call report` before the jump back to `round`. */
async function reportCall(cpu: Cpu, round: bigint): Promise<bigint> {
  const code = await cpu.memory.read(round, 512);
  const jump = [...code.keys()].find((at) => code[at] === 0xe9 && view(code).getInt32(at + 1, true) === -(at + 5));
  if (jump === undefined) throw new Error("no jump back to the round");
  return round + BigInt(jump - 5);
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
