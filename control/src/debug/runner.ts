// Lets the guest run, or take one step, and says why it stopped. A step is made with TF, which an instruction can store or lose; and an
// event that is to be delivered, or an instruction that enters or leaves the kernel by a register, goes where TF does not go with it: there
// the guest runs to the place that it must come to. Stands between the stub, which speaks gdb's language, and the target.
import { DebugFlag, DebugStop } from "../../../protocol/debug.js";
import { Register } from "../../../protocol/state.js";
import { HvkitError } from "../errors.js";
import { type Breakpoint, Breakpoints, BreakpointType, debugRegisters } from "./breakpoints.js";
import type { Cpu } from "./cpu.js";
import { handlerOf } from "./gates.js";
import { decodeInstruction, type Instruction } from "./instruction.js";
import type { RunWish, Target } from "./target.js";

const TF = 0x100n;
const RF = 0x10000n;
const MAX_INSTRUCTION = 15;
/** ExitField.Inject */
const EVENT_VALID = 0x80000000n;
const EVENT_EXCEPTION = 0x300n;
const DB = 1n;
/** Where an event may end instead of at its handler, when its delivery fails: #DF, #GP, #PF. */
const FAULTS = [8, 13, 14];

export type Stopped = { why: "step" | "paused" } | { why: "breakpoint"; breakpoint: Breakpoint } | { why: "software" };

export class Runner {
  readonly breakpoints = new Breakpoints();
  #waiting: ((stop: number) => void) | undefined;

  constructor(
    private readonly target: Target,
    private readonly cpu: Cpu,
  ) {}

  get running(): boolean {
    return this.#waiting !== undefined;
  }

  /** The target's news. */
  stopped(stop: number): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(stop);
  }

  async continue(): Promise<Stopped> {
    for (;;) {
      await this.#passBreakpoint();
      const software: number[] = [];
      for (const linear of this.breakpoints.software()) {
        const physical = await this.cpu.memory.physical(linear);
        if (physical !== undefined) software.push(physical);
      }
      const stop = await this.#run({ flags: 0, ...this.breakpoints.registers(), software });
      const why = await this.#explain(stop);
      if (why) return why;
    }
  }

  async step(): Promise<Stopped> {
    const { inject } = await this.cpu.pending();
    if (inject & EVENT_VALID) return this.#runToHandler(Number(inject & 255n));
    const instruction = await this.#instruction();
    switch (instruction?.kind) {
      case "interrupt":
        return this.#runToHandler(instruction.vector ?? 0);
      case "syscall":
        return this.#runTo(await this.cpu.get((await this.cpu.codeBytes()) === 8 ? Register.Lstar : Register.Cstar));
      case "sysenter":
        return this.#runTo(await this.cpu.get(Register.SysenterEip));
      case "sysret":
      case "sysexit":
        return this.#runTo(await this.#userAddress(instruction));
      default:
        return this.#stepOver(instruction);
    }
  }

  async #stepOver(instruction: Instruction | undefined): Promise<Stopped> {
    await this.#passBreakpoint();
    const own = (await this.cpu.get(Register.Rflags)) & TF;
    const flags = DebugFlag.Step | (instruction?.kind === "pops" ? DebugFlag.Pops : 0);
    const stop = await this.#run({ flags, ...this.breakpoints.registers(), software: [] });
    if (stop === 0) return { why: "paused" };
    if (stop & DebugStop.Event) return this.step();
    if (stop & DebugStop.Step && instruction?.kind === "pushes" && !own) await this.#clearPushed(instruction.operandBytes);
    return (await this.#explain(stop)) ?? { why: "step" };
  }

  /** PUSHF stored the TF of the step. */
  async #clearPushed(bytes: number): Promise<void> {
    const top = await this.cpu.linear(Register.SsBase, await this.#stackPointer());
    const stored = Uint8Array.from(await this.cpu.memory.read(top, bytes));
    if (stored[1] === undefined) return;
    stored[1] &= ~1;
    await this.cpu.memory.write(top, stored);
  }

  /** Outside of 64-bit mode the stack segment says how much of RSP counts. */
  async #stackPointer(): Promise<bigint> {
    const rsp = await this.cpu.get(Register.Rsp);
    if ((await this.cpu.codeBytes()) === 8) return rsp;
    return BigInt.asUintN((await this.cpu.get(Register.SsAttributes)) & 0x4000n ? 32 : 16, rsp);
  }

  async #userAddress({ kind, wide }: Instruction): Promise<bigint> {
    const value = await this.cpu.get(kind === "sysret" ? Register.Rcx : Register.Rdx);
    return wide ? value : BigInt.asUintN(32, value);
  }

  async #runToHandler(vector: number): Promise<Stopped> {
    const handler = await handlerOf(this.cpu, vector);
    return handler === undefined ? this.#stepOver(undefined) : this.#runTo(handler);
  }

  /** To the one place that comes next, or to where a fault on the way goes. */
  async #runTo(linear: bigint): Promise<Stopped> {
    const places = [linear];
    for (const vector of FAULTS) {
      const handler = await handlerOf(this.cpu, vector);
      if (handler !== undefined && !places.includes(handler)) places.push(handler);
    }
    const there = debugRegisters(places.map((address) => ({ type: BreakpointType.Hardware, address, length: 1 })));
    const stop = await this.#run({ flags: 0, ...there, software: [] });
    return stop === 0 ? { why: "paused" } : { why: "step" };
  }

  /** Undefined: it is nothing that the debugger has asked for, and the guest has been given it. */
  async #explain(stop: number): Promise<Stopped | undefined> {
    if (stop === 0) return { why: "paused" };
    if (stop & DebugStop.Software) {
      const linear = await this.cpu.linearRip();
      if (this.breakpoints.software().includes(linear)) return { why: "software" };
      await this.#giveInt1();
      return undefined;
    }
    const breakpoint = this.breakpoints.hit(stop & DebugStop.Breakpoints);
    return breakpoint && { why: "breakpoint", breakpoint };
  }

  /** The guest's own INT1: a #DB with RIP behind it. */
  async #giveInt1(): Promise<void> {
    await this.cpu.set([Register.Rip, (await this.cpu.get(Register.Rip)) + 1n]);
    await this.cpu.inject(EVENT_VALID | EVENT_EXCEPTION | DB);
  }

  /** RF: the instruction that a hardware breakpoint is at is executed. */
  async #passBreakpoint(): Promise<void> {
    if (!this.breakpoints.isHardware(await this.cpu.linearRip())) return;
    await this.cpu.set([Register.Rflags, (await this.cpu.get(Register.Rflags)) | RF]);
  }

  async #run(wish: RunWish): Promise<number> {
    this.cpu.forget();
    const stop = new Promise<number>((resolve) => {
      this.#waiting = resolve;
    });
    try {
      await this.target.run(wish);
    } catch (error) {
      this.#waiting = undefined;
      throw error;
    }
    return stop;
  }

  async #instruction(): Promise<Instruction | undefined> {
    try {
      const code = await this.cpu.memory.read(await this.cpu.linearRip(), MAX_INSTRUCTION);
      return decodeInstruction(code, await this.cpu.codeBytes());
    } catch (error) {
      // The step itself will find out: the fetch faults.
      if (error instanceof HvkitError && error.code === "E_DEBUG_MEMORY") return undefined;
      throw error;
    }
  }
}
