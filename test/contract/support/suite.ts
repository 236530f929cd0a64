// The frame of a contract suite: a machine that is started before the suite's tests, and whose guests go after each of them.
import { afterAll, afterEach, beforeAll } from "vitest";
import { Machine, type MachineOptions } from "./machine.js";
import type { Target } from "./targets.js";

export function useMachine(target: Target, options: MachineOptions = {}): () => Machine {
  let machine: Machine | undefined;
  const up = (): Machine => {
    if (!machine) throw new Error("the machine is not up");
    return machine;
  };
  beforeAll(async () => {
    machine = await Machine.start(target, options);
  }, 150_000);
  afterEach(async () => {
    await machine?.clear();
  }, 30_000);
  afterAll(async () => {
    await machine?.stop();
  }, 30_000);
  return up;
}

/** Milliseconds for a test that takes `seconds` on QEMU at the worst. */
export const within = (target: Target, seconds: number): number => seconds * 1000 * target.patience;
