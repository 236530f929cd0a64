// Collects the evidence that a diagnosis rests on, over the client: two looks with a third of a second between, in which RIP is sampled.
// A guest that has ended is looked at once. Nothing is changed.
import { HvkitError } from "../errors.js";
import { linearOf, type MachineView, type Registers, register } from "../inspect/view.js";
import { activityOf, type Evidence, type Running, type Sample } from "../why/evidence.js";
import { collectFault, type FaultChain } from "../why/fault.js";
import { standingOf } from "../why/standing.js";
import type { Client } from "./client.js";
import { liveView } from "./liveview.js";

const LOOK_MS = 300;
const SAMPLES = 16;
const GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
/** below this percentage of its time it is worth asking who has the CPUs */
const HARDLY = 20n;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function collectEvidence(client: Client, guest: string): Promise<Evidence> {
  const view = await liveView(client, guest);
  const { name, state, end, slot, debugged } = view.detail;
  const bare: Evidence = { guest: name, state, end, debugged, standing: undefined, running: undefined, fault: undefined };
  if (slot === null) return bare;
  if (state === "running") return withRunning(client, view, bare);
  return withLast(client, view, bare);
}

/** One that does not run: where it stands, and for a triple fault what led to it. */
async function withLast(client: Client, view: MachineView, bare: Evidence): Promise<Evidence> {
  const registers = await view.registers();
  const standing = await standingOf(view, registers);
  const triple = bare.end?.code === "triple-fault";
  return { ...bare, standing, fault: triple ? await faultOf(client, view, registers) : undefined };
}

async function faultOf(client: Client, view: MachineView, registers: Registers): Promise<FaultChain | undefined> {
  const { fields } = await client.call("exit", { guest: view.name });
  const { inject } = await view.machine();
  // The CPU's record of what it was delivering, else what it was told to deliver and has not got rid of.
  return collectFault(view, registers, [BigInt(fields.vectoring ?? "0x0"), inject]).catch((error: unknown) => {
    // It ended, and gave its RAM when others needed it (docs/clones.md): nothing is left to look at.
    if (error instanceof HvkitError && error.code === "E_HV_MEMORY_GONE") return undefined;
    throw error;
  });
}

async function withRunning(client: Client, view: MachineView, bare: Evidence): Promise<Evidence> {
  const guest = view.name;
  const first = await view.registers();
  const { clockNs } = await view.machine();
  const before = await client.call("stats", { guest });
  const samples = await sample(client, guest, first);
  const registers = await view.registers();
  const standing = await standingOf(view, registers);
  const after = await client.call("stats", { guest });
  const { state, end, debugged } = await client.call("inspect", { guest });
  // It has ended or been paused meanwhile: then that is the answer.
  if (state !== "running") return withLast(client, view, { ...bare, state, end, debugged });
  const activity = activityOf(before, after, standing.machine.clockNs - clockNs);
  const unchanged = GENERAL.every((name) => register(first, name) === register(registers, name));
  const hardly = activity.runNs * 100n < activity.ns * HARDLY;
  const running: Running = { samples, activity, unchanged, cpus: hardly ? await cpusOf(client) : null };
  return { ...bare, standing, running };
}

async function sample(client: Client, guest: string, registers: Registers): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const until = Date.now() + LOOK_MS; samples.length < SAMPLES && (samples.length < 6 || Date.now() < until); ) {
    await wait(LOOK_MS / SAMPLES);
    const { rip, idle } = await client.call("inspect", { guest });
    if (rip !== null) samples.push({ rip: linearOf(registers, "cs", BigInt(rip)), halted: idle });
    else break;
  }
  return samples;
}

async function cpusOf(client: Client): Promise<Running["cpus"]> {
  const { hypervisor } = await client.call("status", {});
  return hypervisor?.perCpu.map(({ index, loadPercent, guest }) => ({ index, loadPercent, guest })) ?? null;
}
