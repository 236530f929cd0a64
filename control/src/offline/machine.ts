// A saved machine in somebody's hands: ports are read and written, time is moved, a key is pressed, and the devices do what they did in the
// hypervisor, by the same code. The CPU stands meanwhile: it executes nothing, and takes an interrupt when it is told to. All that changes is in
// this process's memory; the file stays as it is.
import { CpuidTable, EventBit, ExitRecord, Layout, VcpuRecord } from "../../../hv/machine/layout.js";
import { CpuModel, Status } from "../../../protocol/messages.js";
import { ExitField, Register } from "../../../protocol/state.js";
import { HvkitError } from "../errors.js";
import { encodeCpuid } from "../hypervisor/cpuid.js";
import { describeEnd, endReasonCode, statusError } from "../hypervisor/texts.js";
import { eventOf, type InjectedEvent } from "../inspect/devices/machine.js";
import { readRecords } from "../inspect/records.js";
import type { MachineState, MachineView, Registers } from "../inspect/view.js";
import type { PhysicalMemory } from "../inspect/walk.js";
import { type Layout as LayoutTable, registerNames } from "../snapshot/format.js";
import { migrate } from "../snapshot/migrate.js";
import { MachineModule, NEVER } from "./module.js";
import type { SavedGuest } from "./savedguest.js";

/** VMX exit reasons (SDM vol. 3, appendix C), and its exit qualification for I/O (table 28-5) */
const REASON = { cpuid: 10, io: 30 } as const;
const IO_INPUT = 8n;
const EVENT_VALID = 0x8000_0000n;
const NMI_VECTOR = 2;
/** timers that come in one tick() at most */
const MOST_TIMERS = 100_000;

export type PortSize = 1 | 2 | 4;

/** What the guest's devices did beside what was asked for. */
export interface News {
  /** bytes that went to COM1 and COM2 */
  sent: [Uint8Array, Uint8Array];
  /** a device ended the guest: power-off, reset, ... */
  end: { code: string; text: string } | null;
}

export interface CpuidAnswer {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

export class OfflineMachine implements MachineView {
  readonly name: string;
  readonly memory: PhysicalMemory;
  /** the clock was there when the TSC was what the registers say */
  readonly #begun: bigint;

  private constructor(
    private readonly saved: SavedGuest,
    private readonly layout: LayoutTable,
    private readonly module: MachineModule,
  ) {
    this.name = saved.name;
    this.memory = saved.memory;
    this.#begun = saved.snapshot.entry.clockNs;
  }

  /** As a restore does it: the state region moves to this build's layout, the machine checks it, and is told what had come.
   *  Errors: E_SNAPSHOT_LAYOUT, E_HV_RECORD_REFUSED, E_STATE, E_NOT_BUILT. */
  static of(saved: SavedGuest, layout: LayoutTable): OfflineMachine {
    const { snapshot, header } = saved;
    const { region, registers } = migrate(snapshot, layout);
    const { cpu } = header;
    const model = cpu.model === "portable" ? CpuModel.Portable : CpuModel.Host;
    const module = new MachineModule(saved.memory, cpu.tscKhz, model);
    const { entry, consoleInput } = snapshot;
    const memory = new Uint8Array(module.exports.memory.buffer);
    memory.set(region, Layout.Region);
    memory.set(
      encodeCpuid(cpu.cpuid.map(([leaf, subleaf, eax, ebx, ecx, edx]) => ({ leaf, subleaf, eax, ebx, ecx, edx }))),
      CpuidTable.New,
    );
    for (const [register, value] of registers.entries()) module.set(register, value);
    module.set(ExitField.Inject, entry.inject);
    module.set(ExitField.InjectLength, BigInt(entry.injectLength));
    module.now = entry.clockNs;
    for (const port of [0, 1] as const) module.input[port].push(...consoleInput[port]);
    const status = module.exports.restore(entry.halted ? 1 : 0);
    if (status !== Status.Ok) throw statusError("restore", status, [BigInt.asUintN(64, module.exports.bootValue())]);
    const machine = new OfflineMachine(saved, layout, module);
    machine.#event((entry.events & (EventBit.Nmi | EventBit.ConsoleInput)) | EventBit.Timer | EventBit.ConsoleRoom);
    return machine;
  }

  async registers(): Promise<Registers> {
    const registers = Object.fromEntries(registerNames.map((name, register) => [name, this.module.get(register)]));
    const passed = ((this.module.now - this.#begun) * BigInt(this.saved.header.cpu.tscKhz)) / 1_000_000n;
    return { ...registers, tsc: BigInt.asUintN(64, (registers.tsc ?? 0n) + passed) };
  }

  async machine(): Promise<MachineState> {
    const { exports, now, input } = this.module;
    const region = new Uint8Array(exports.memory.buffer, Layout.Region, Layout.RegionEnd - Layout.Region);
    return {
      records: readRecords(this.layout, region),
      clockNs: now,
      halted: false, // its record says it
      inject: this.module.get(ExitField.Inject),
      events: 0,
      inputBytes: [input[0].length, input[1].length],
    };
  }

  /** What the guest would read. */
  in(port: number, size: PortSize): number {
    return Number(this.#exit(REASON.io, qualification(port, size) | IO_INPUT, { rax: 0n }).rax);
  }

  out(port: number, size: PortSize, value: number): void {
    this.#exit(REASON.io, qualification(port, size), { rax: BigInt(value) });
  }

  cpuid(leaf: number, subleaf: number): CpuidAnswer {
    const { rax, rbx, rcx, rdx } = this.#exit(REASON.cpuid, 0n, { rax: BigInt(leaf), rcx: BigInt(subleaf) });
    return { eax: Number(rax), ebx: Number(rbx), ecx: Number(rcx), edx: Number(rdx) };
  }

  /** Time passes; each timer comes when it is due. Errors: E_TICK when too many do: time has then come as far as they were. */
  tick(ns: bigint): void {
    const { module } = this;
    const until = module.now + ns;
    for (let timers = 0; module.deadline <= until && !module.ended; timers++) {
      if (timers === MOST_TIMERS) {
        throw new HvkitError("E_TICK", `${MOST_TIMERS} timers came, and guest time is ${module.now} ns: the rest has not passed`, {
          hint: "Go on with another tick.",
        });
      }
      if (module.deadline > module.now) module.now = module.deadline;
      module.deadline = NEVER;
      this.#event(EventBit.Timer);
    }
    if (!module.ended) module.now = until;
  }

  /** Input on a serial port. */
  type(port: 0 | 1, bytes: Uint8Array): void {
    this.module.input[port].push(...bytes);
    this.#event(EventBit.ConsoleInput);
  }

  nmi(): void {
    this.#event(EventBit.Nmi);
  }

  /** The CPU takes what waits for it, as its next entry would; null: nothing does, or it may not be interrupted. Nothing of the handler runs: RIP
   *  and the stack stay, and IF too. */
  take(): InjectedEvent | null {
    const { module } = this;
    if (!(module.get(ExitField.Inject) & EVENT_VALID)) {
      module.cpuTakes = true;
      try {
        this.#event(0);
      } finally {
        module.cpuTakes = false;
      }
    }
    const event = eventOf(module.get(ExitField.Inject));
    module.set(ExitField.Inject, 0n);
    if (event?.type === "nmi" && event.vector === NMI_VECTOR) module.set(Register.NmiBlocked, 1n);
    return event;
  }

  /** Since the last time. An end stays. */
  news(): News {
    const { sent, ended } = this.module;
    const found: News = {
      sent: [Uint8Array.from(sent[0].splice(0)), Uint8Array.from(sent[1].splice(0))],
      end: ended ? { code: endReasonCode(ended.reason), text: describeEnd(ended.reason, ended.value) } : null,
    };
    return found;
  }

  #event(bits: number): void {
    this.#run(() => this.module.exports.event(bits));
  }

  /** The machine handles an exit, as if the guest had executed such an instruction; the guest's own registers stay. */
  #exit(reason: number, info: bigint, given: { rax: bigint; rcx?: bigint }) {
    const { module } = this;
    const record = Layout.Region + VcpuRecord.Gpr;
    const bytes = new Uint8Array(module.exports.memory.buffer);
    const kept = bytes.slice(record, Layout.Region + VcpuRecord.End);
    bytes.fill(0, Layout.Exit, Layout.Debug);
    module.view.setUint32(Layout.Exit + ExitRecord.Reason, reason, true);
    module.view.setUint32(Layout.Exit + ExitRecord.Length, 1, true);
    module.set(ExitField.Qualification, info);
    module.set(Register.Rax, given.rax);
    module.set(Register.Rcx, given.rcx ?? 0n);
    this.#run(() => module.exports.exitInFull());
    const answer = {
      rax: module.get(Register.Rax),
      rbx: module.get(Register.Rbx),
      rcx: module.get(Register.Rcx),
      rdx: module.get(Register.Rdx),
    };
    new Uint8Array(module.exports.memory.buffer).set(kept, record);
    return answer;
  }

  #run(call: () => number): void {
    if (this.module.ended) {
      throw new HvkitError("E_MACHINE_ENDED", "the guest has ended: its machine does nothing more", {
        hint: "`reload` takes the machine of the file again.",
      });
    }
    try {
      call();
    } catch (cause) {
      if (cause instanceof HvkitError) throw cause;
      throw new HvkitError("E_MACHINE_TRAP", `the machine module trapped: ${(cause as Error).message}`, {
        hint: "In the hypervisor the guest would have ended so. `reload` takes the machine of the file again.",
        cause,
      });
    }
  }
}

const qualification = (port: number, size: PortSize): bigint => (BigInt(port) << 16n) | BigInt(size - 1);
