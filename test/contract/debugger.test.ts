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
    const [, round = "", watched = ""] = await guest.shows(/round at (\w+) watched at (\w+)/);
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
      expect(seen.size).toBeGreaterThan(100);
      const at = await cpu.get(Register.Rflags);
      expect(at & 0x100n).toBe(0n);
      expect(await runner.continue()).toMatchObject({ why: "breakpoint" });
      const [, number = ""] = /.*round (\d+) hash/s.exec(guest.console) ?? [];
      expect(hashes(guest).get(number)).toBe(expected.get(number));
    },
    within(target, 90),
  );
});

/** The address of the `call report` before the jump back to `round`. */
async function reportCall(cpu: Cpu, round: bigint): Promise<bigint> {
  const code = await cpu.memory.read(round, 512);
  const jump = [...code.keys()].find((at) => code[at] === 0xe9 && view(code).getInt32(at + 1, true) === -(at + 5));
  if (jump === undefined) throw new Error("no jump back to the round");
  return round + BigInt(jump - 5);
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
