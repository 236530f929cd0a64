// hvkit machine: the devices around a guest's CPU, in words.
import { Command } from "@commander-js/extra-typings";
import { type InjectedEvent, type Machine, machineOf } from "../../inspect/devices/machine.js";
import { fateText, irqText, type PicState } from "../../inspect/devices/pic.js";
import type { PitState } from "../../inspect/devices/pit.js";
import type { RtcState } from "../../inspect/devices/rtc.js";
import type { UartState } from "../../inspect/devices/uart.js";
import type { Field, MachineState, Records } from "../../inspect/view.js";
import { pairs, print, printJson } from "../output.js";
import { SUBJECT, withSubject } from "../subject.js";

const IRQS = Array.from({ length: 16 }, (_, irq) => irq);

export const machine = () =>
  new Command("machine")
    .description("print the devices of a guest in words: interrupts, timers, serial ports, clock")
    .argument("<guest-or-snapshot>", SUBJECT)
    .option("--json", "print as JSON; 'records' has the state region's fields as they are")
    .addHelpText(
      "after",
      `
Examples:
  hvkit machine web
  hvkit pause web && hvkit machine web && hvkit unpause web
  hvkit machine ./web.hvsnap

Of a guest that runs, the parts are moments apart: pause it for a picture of one moment.`,
    )
    .action(async (guest, { json }) => {
      await withSubject(guest, async ({ view }) => {
        const state = await view.machine();
        if (json) printJson({ guest: view.name, ...machineJson(machineOf(state), state.records) });
        else print(showMachine(machineOf(state)));
      });
    });

export function showMachine(found: Machine): string {
  const [com1, com2] = found.uarts;
  const rows: [string, string][] = [
    ["guest time", seconds(found.clockNs)],
    ["CPU", cpuText(found)],
    ["PIC master", picText(found.pics.master)],
    ["PIC slave", picText(found.pics.slave)],
    ["requests", requestsText(found)],
    ...found.pits.map((pit): [string, string] => [`PIT ${pit.counter}`, pitText(pit)]),
    ["COM1", uartText(com1)],
    ["COM2", uartText(com2)],
    ["RTC", rtcText(found.rtc)],
    ["keyboard", keyboardText(found)],
    ["port 61h", `speaker gate ${onOff(found.speaker.gate)}, data ${onOff(found.speaker.data)}`],
    ["port 80h", `${hex(found.post, 2)}h`],
    ["KVM clock", found.kvmClock.enabled ? `at guest-physical 0x${found.kvmClock.systemTime.toString(16)}` : "off"],
    ["timers", timersText(found)],
  ];
  return pairs(rows);
}

function cpuText({ halted, injecting, deferred, nmiWaits, events }: Machine): string {
  const parts = [halted ? "waits in HLT" : "executes"];
  if (injecting) parts.push(`the next entry delivers ${eventText(injecting)}`);
  if (deferred) parts.push(`${eventText(deferred)} is to be delivered again`);
  if (nmiWaits) parts.push("an NMI waits");
  if (events.length > 0) parts.push(`not told yet: ${events.join(", ")}`);
  return parts.join("; ");
}

export function eventText({ vector, type, errorCode }: InjectedEvent): string {
  return `${type} vector ${hex(vector, 2)}h${errorCode === null ? "" : `, error code ${errorCode.toString(16)}h`}`;
}

function picText(pic: PicState): string {
  const list = (irqs: readonly number[]): string => (irqs.length === 0 ? "none" : irqs.map(irqText).join(", "));
  const state = !pic.initialized
    ? "not initialized"
    : pic.expects === null
      ? `vectors from ${hex(pic.vector, 2)}h`
      : `waits for ${pic.expects}`;
  const modes = [pic.autoEoi ? "automatic EOI" : "", pic.specialMask ? "special mask mode" : "", `reads give ${pic.reads}`];
  const open = Array.from({ length: 8 }, (_, input) => (pic.chip === "master" ? input : input + 8)).filter(
    (irq) => !pic.masked.includes(irq),
  );
  return [
    `${state}, INT ${pic.int ? "up" : "down"}, ${modes.filter((mode) => mode !== "").join(", ")}`,
    `requested (IRR): ${list(pic.requested)}`,
    `in service (ISR): ${list(pic.inService)}`,
    `not masked (IMR): ${list(open)}`,
  ].join("\n");
}

/** What becomes of each request, in the order of the IRQs. */
export function requestsText({ pics }: Machine): string {
  const requested = IRQS.filter((irq) => pics.fate(irq).kind !== "idle" && irq !== 2);
  if (requested.length === 0) return "none";
  return requested.map((irq) => fateText(irq, pics.fate(irq)) ?? `${irqText(irq)} is the CPU's to take`).join("\n");
}

function pitText({ mode, modeName, state, reload, next, count, out, gate, bcd, hz, owed }: PitState): string {
  const what = `mode ${mode}, ${modeName}${bcd ? ", BCD" : ""}`;
  if (state === "idle") return `${what}: no count was written`;
  const parts = [`${what}: counts from ${reload}, is at ${count}`];
  if (hz !== null) parts.push(`${hz} Hz`);
  if (next !== null) parts.push(`next from ${next}`);
  parts.push(`OUT ${out ? "high" : "low"}`);
  if (!gate) parts.push("gate low");
  if (state === "waiting") parts.push("waits for its gate");
  if (state === "held") parts.push("stopped by its gate");
  if (owed > 0) parts.push(`${owed} ticks owed`);
  return parts.join(", ");
}

function uartText(uart: UartState): string {
  const show = (bytes: Uint8Array): string => `${bytes.length} bytes "${[...bytes].map(printable).join("")}"`;
  const fifo = [
    uart.received.length > 0 ? `to be read: ${show(uart.received)}` : "nothing to be read",
    uart.waiting > 0 ? `${uart.waiting} more bytes of input wait` : "",
    uart.sending.length > 0 ? `to be sent: ${show(uart.sending)}` : "",
  ];
  const gate = uart.loopback ? "closed by loopback" : uart.gateOpen ? "open" : "closed (MCR.OUT2 is 0)";
  return [
    `${uart.baud} baud ${uart.format}, FIFOs ${onOff(uart.fifos)}${uart.rts ? "" : ", RTS off: takes no input"}${uart.overrun ? ", overrun" : ""}`,
    fifo.filter((part) => part !== "").join(", "),
    `interrupts for ${uart.enabled.length > 0 ? uart.enabled.join(", ") : "nothing"} (IER), gate ${gate}, cause now: ${uart.cause ?? "none"}`,
  ].join("\n");
}

function rtcText(rtc: RtcState): string {
  const enabled = rtc.enabled.length > 0 ? rtc.enabled.join(", ") : "nothing";
  const parts = [
    rtc.time ?? (rtc.running ? "a date out of range" : "stopped"),
    `alarm ${rtc.alarm}`,
    rtc.periodicHz === null ? "no periodic rate" : `periodic rate ${rtc.periodicHz} Hz`,
  ];
  const flags = rtc.flags.length > 0 ? `, happened: ${rtc.flags.join(", ")}` : "";
  return `${parts.join(", ")}\ninterrupts for ${enabled}, IRQ8 ${rtc.interrupt ? "up" : "down"}${flags}${rtc.nmiMasked ? ", NMIs masked (port 70h)" : ""}`;
}

function keyboardText({ keyboard: { output, interruptEnabled, waitsFor, a20 } }: Machine): string {
  const parts = [output === null ? "nothing to be read" : `byte ${hex(output, 2)}h to be read`, `interrupt ${onOff(interruptEnabled)}`];
  if (waitsFor !== null) parts.push(`command ${hex(waitsFor, 2)}h waits for its byte`);
  return `${parts.join(", ")}, A20 ${onOff(a20)}`;
}

function timersText({ timers }: Machine): string {
  if (timers.length === 0) return "none is armed";
  return timers.map(({ source, inNs }) => (inNs > 0n ? `${source} in ${seconds(inNs)}` : `${source} due`)).join(", ");
}

/** Big integers as strings, as everywhere in --json; addresses and counts as numbers. */
export function machineJson({ pics, uarts, timers, kvmClock, clockNs, ...rest }: Machine, records: MachineState["records"]) {
  return {
    clockNs: String(clockNs),
    ...rest,
    pics: [pics.master, pics.slave],
    requests: IRQS.filter((irq) => pics.fate(irq).kind !== "idle" && irq !== 2).map((irq) => ({ irq, ...pics.fate(irq) })),
    uarts: uarts.map(({ received, sending, ...uart }) => ({
      ...uart,
      received: Buffer.from(received).toString("hex"),
      sending: Buffer.from(sending).toString("hex"),
    })),
    timers: timers.map(({ source, inNs }) => ({ source, inNs: String(inNs) })),
    kvmClock: {
      enabled: kvmClock.enabled,
      systemTime: `0x${kvmClock.systemTime.toString(16)}`,
      wallClock: `0x${kvmClock.wallClock.toString(16)}`,
    },
    records: recordTexts(records),
  };
}

function recordTexts(records: Records) {
  const text = (value: Field): string | string[] => (typeof value === "bigint" ? String(value) : value.map(String));
  const fields = (record: Readonly<Record<string, Field>>) =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, text(value)]));
  return Object.fromEntries(Object.entries(records).map(([name, record]) => [name, fields(record)]));
}

/** Nothing that a terminal would obey. */
export const printable = (byte: number): string =>
  byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c ? String.fromCharCode(byte) : `\\x${hex(byte, 2)}`;
const onOff = (on: boolean): string => (on ? "on" : "off");
export const seconds = (ns: bigint): string => `${(Number(ns / 1000n) / 1e6).toFixed(6)} s`;
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
