// The frame of a contract suite: a machine that is started before the suite's tests, and whose guests go after each of them.
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { EndReason, RunState } from "../../../protocol/messages.js";
import type { Guest } from "./guest.js";
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

/** How a guest that does anything at all may end: by itself, or at what the machine does not do. Never by a trap of the machine. */
const guestsOwnEnds = [
  EndReason.PowerOff,
  EndReason.Reset,
  EndReason.DebugExit,
  EndReason.HaltedForever,
  EndReason.TripleFault,
  EndReason.UnbackedMemory,
  EndReason.UnknownExit,
  EndReason.TaskSwitch,
  EndReason.Undecodable,
  EndReason.EntryFailed,
];

/** After at most `seconds` the guest has ended with a reason that is its own, or it runs on. */
export async function expectHarmless(machine: Machine, guest: Guest, seconds: number): Promise<void> {
  const until = Date.now() + within(machine.target, seconds);
  while (!guest.end && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  const { state, reason } = await machine.hypervisor.guestState(guest.slot);
  expect([RunState.Runnable, RunState.Halted, RunState.Ended].map((allowed) => RunState[allowed])).toContain(RunState[state]);
  const allowed = state === RunState.Ended ? guestsOwnEnds : [EndReason.None];
  expect(allowed.map((own) => EndReason[own])).toContain(EndReason[reason]);
}
