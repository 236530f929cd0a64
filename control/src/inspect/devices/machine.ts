// All of a machine in words: the devices, what the CPU is about to take, the timers. The state region's records come in, by their names.
import { EventBit } from "../../../../hv/machine/layout.js";
import type { MachineState, Records } from "../view.js";
import { type Pics, picsOf } from "./pic.js";
import { type PitState, pitsOf } from "./pit.js";
import { recordOf } from "./record.js";
import { type RtcState, rtcOf } from "./rtc.js";
import { type UartState, uartsOf } from "./uart.js";

/** An event that is injected, in ExitField.Inject's form. */
export interface InjectedEvent {
  vector: number;
  type: "interrupt" | "nmi" | "exception" | "software interrupt" | "other";
  errorCode: number | null;
}

export interface KeyboardState {
  /** the byte at port 60h; null: the output buffer is empty */
  output: number | null;
  interruptEnabled: boolean;
  /** the command that waits for its byte */
  waitsFor: number | null;
  a20: boolean;
}

export interface TimerState {
  source: "pit" | "rtc" | "com1" | "com2";
  /** nanoseconds from now on; negative: due */
  inNs: bigint;
}

export interface Machine {
  clockNs: bigint;
  /** it waits in HLT */
  halted: boolean;
  /** what the next entry delivers */
  injecting: InjectedEvent | null;
  /** an interrupt whose delivery an exception broke off */
  deferred: InjectedEvent | null;
  nmiWaits: boolean;
  /** news for the machine: timer, console input, console room, NMI */
  events: string[];
  pics: Pics;
  pits: [PitState, PitState, PitState];
  uarts: [UartState, UartState];
  rtc: RtcState;
  keyboard: KeyboardState;
  /** port 61h bits 1:0 */
  speaker: { gate: boolean; data: boolean };
  /** port 80h */
  post: number;
  /** those that are armed, the earliest first */
  timers: TimerState[];
  kvmClock: { enabled: boolean; systemTime: bigint; wallClock: bigint };
}

const NEVER = 0xffff_ffff_ffff_ffffn;
const EVENTS: [number, string][] = [
  [EventBit.Timer, "timer"],
  [EventBit.ConsoleInput, "console input"],
  [EventBit.ConsoleRoom, "console room"],
  [EventBit.Nmi, "NMI"],
];
const TYPES: Record<number, InjectedEvent["type"]> = { 0: "interrupt", 2: "nmi", 3: "exception", 4: "software interrupt" };
const KEYBOARD = { outputFull: 1, interrupt: 1, a20: 2 } as const;

export function machineOf({ records, clockNs, halted, inject, events, inputBytes }: MachineState): Machine {
  const machine = recordOf(records, "machine");
  const port61 = recordOf(records, "port61").number("control");
  const kvm = recordOf(records, "kvmclock");
  return {
    clockNs,
    halted: halted || machine.number("halted") !== 0,
    injecting: eventOf(inject),
    deferred: eventOf(machine.big("deferred")),
    nmiWaits: machine.number("nmi") !== 0,
    events: EVENTS.filter(([bit]) => events & bit).map(([, name]) => name),
    pics: picsOf(records),
    pits: pitsOf(records, clockNs),
    uarts: uartsOf(records, inputBytes),
    rtc: rtcOf(records, clockNs),
    keyboard: keyboardOf(records),
    speaker: { gate: (port61 & 1) !== 0, data: (port61 & 2) !== 0 },
    post: recordOf(records, "debug").number("post"),
    timers: timersOf(records, clockNs),
    kvmClock: { enabled: (kvm.big("systemTime") & 1n) !== 0n, systemTime: kvm.big("systemTime") & ~1n, wallClock: kvm.big("wallClock") },
  };
}

/** Vector 7:0, type 10:8, error code valid 11, valid 31, error code 63:32. */
export function eventOf(value: bigint): InjectedEvent | null {
  if (!(value & 0x8000_0000n)) return null;
  const type = TYPES[Number((value >> 8n) & 7n)] ?? "other";
  return { vector: Number(value & 255n), type, errorCode: value & 0x800n ? Number(value >> 32n) : null };
}

function keyboardOf(records: Records): KeyboardState {
  const { number } = recordOf(records, "keyboard");
  return {
    output: number("status") & KEYBOARD.outputFull ? number("output") : null,
    interruptEnabled: (number("command") & KEYBOARD.interrupt) !== 0,
    waitsFor: number("waiting") === 0 ? null : number("waiting"),
    a20: (number("outputPort") & KEYBOARD.a20) !== 0,
  };
}

function timersOf(records: Records, clockNs: bigint): TimerState[] {
  const { big } = recordOf(records, "timers");
  return (["pit", "rtc", "com1", "com2"] as const)
    .filter((source) => big(source) !== NEVER)
    .map((source) => ({ source, inNs: big(source) - clockNs }))
    .sort((one, other) => (one.inNs < other.inNs ? -1 : one.inNs > other.inNs ? 1 : 0));
}
