// A guest that executes, and gets nowhere: at one place, or by one kind of exit over and over.

import { hex } from "../hex.js";
import { fateText, irqText } from "../inspect/devices/pic.js";
import type { Instruction } from "../inspect/disasm.js";
import { register } from "../inspect/view.js";
import type { Running, Standing } from "./evidence.js";
import type { Finding, Rule } from "./finding.js";
import { percent, perSecond } from "./text.js";

/** bytes of code that the samples of a loop lie within */
const LOOP_BYTES = 128n;
const FEW_SAMPLES = 5;
/** lines of code that are shown of a loop */
const SHOWN = 6;
const IRQS = Array.from({ length: 16 }, (_, irq) => irq).filter((irq) => irq !== 2);

const isAwake = ({ samples }: Running): boolean => samples.length >= FEW_SAMPLES && samples.every(({ halted }) => !halted);

export const spinning: Rule = ({ running, standing }) => {
  if (!running || !standing || !isAwake(running) || running.activity.runNs === 0n) return [];
  const rips = running.samples.map(({ rip }) => rip).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const [lowest = 0n] = rips;
  const highest = rips.at(-1) ?? 0n;
  if (highest - lowest > LOOP_BYTES) return [];
  const interrupts = (register(standing.registers, "rflags") & 0x200n) !== 0n;
  const where = highest === lowest ? `at ${hex(lowest)}` : `between ${hex(lowest)} and ${hex(highest)}`;
  const sure = running.unchanged || isEndless(standing);
  const off = interrupts ? "" : ", with interrupts off: nothing from outside can get it out";
  return [
    {
      code: interrupts ? "spinning" : "spinning-interrupts-off",
      certainty: sure ? "certain" : "likely",
      text: `It spins ${where}${off}.`,
      evidence: [
        `RIP was there at all of ${running.samples.length} looks`,
        ...(running.unchanged ? ["no general register changed meanwhile"] : []),
        ...loopOf(standing.code).map(({ address, text }) => `${hex(address)}  ${text}`),
        ...waiting(standing, interrupts),
      ],
      hint: sure
        ? "`hvkit disasm` shows the loop, `hvkit regs` what it looks at."
        : "It may be at work in a short loop: ask again, and compare `hvkit regs`.",
    },
  ];
};

/** From where it stands to the jump that leads back, or the first few of what comes. */
function loopOf(code: readonly Instruction[]): Instruction[] {
  const end = code.findIndex(({ mnemonic }) => mnemonic === "jmp" || mnemonic === "ret");
  return code.slice(0, end < 0 ? SHOWN : Math.min(end + 1, SHOWN));
}

/** A jump to itself: whatever the registers say. */
const isEndless = ({ code: [first] }: Standing): boolean =>
  first !== undefined && /^jmp /.test(first.text) && first.text.endsWith(hex16(first.address));
const hex16 = (address: bigint): string => address.toString(16);

/** Interrupts that a spinning guest might wait for. */
function waiting({ machine: { pics } }: Standing, interrupts: boolean): string[] {
  return IRQS.flatMap((irq) => {
    const fate = pics.fate(irq);
    if (fate.kind === "idle") return [];
    const why = fateText(irq, fate);
    if (why !== undefined) return [`${irqText(irq)} has been raised, and is kept back: ${why}`];
    return interrupts ? [] : [`${irqText(irq)} has been raised, and is kept back: IF is 0`];
  });
}

/** exits in the time of a look, of one kind, that make a storm */
const STORM = 300n;
const STORM_SHARE = 80n;
const INTERRUPT_STORM = 1500n;
/** what the machine is not at fault for, or what is no cause of its own */
const QUIET = ["host-interrupt", "hlt"];

export const storm: Rule = ({ running, standing }) => {
  if (!running || !standing) return [];
  const { activity } = running;
  const findings: Finding[] = [];
  const [top] = [...activity.byReason].filter(([reason]) => !QUIET.includes(reason)).sort(([, a], [, b]) => (a < b ? 1 : -1));
  if (top !== undefined) {
    const [reason, count] = top;
    if (count >= STORM && count * 100n >= activity.exits * STORM_SHARE) {
      const [instruction] = standing.code;
      const port = reason.startsWith("io-") ? portText(standing) : undefined;
      findings.push({
        code: "exit-storm",
        certainty: "certain",
        text: `It exits for '${reason}' over and over: ${perSecond(count, activity.ns)}, ${percent(count, activity.exits)} of all its exits.`,
        evidence: [
          ...(port === undefined ? [] : [port]),
          ...(instruction ? [`RIP ${hex(instruction.address)}: ${instruction.text}`] : []),
          ...[...activity.byReason].map(([name, seen]) => `${name}: ${seen}`),
        ],
        hint: HINTS[reason] ?? null,
      });
    }
  }
  if (activity.injected >= INTERRUPT_STORM && activity.ns > 0n && activity.injected * 1_000_000_000n > activity.ns * 5000n) {
    const { pics } = standing.machine;
    const raised = [...pics.master.inService, ...pics.slave.inService, ...pics.master.high, ...pics.slave.high];
    findings.push({
      code: "interrupt-storm",
      certainty: "likely",
      text: `It is kept busy by interrupts: ${perSecond(activity.injected, activity.ns)} are delivered.`,
      evidence: [...new Set(raised)].map((irq) => `${irqText(irq)} is up or in service`),
      hint: "A handler must take away the cause at its device before the EOI.",
    });
  }
  return findings;
};

const HINTS: Readonly<Record<string, string>> = {
  "io-in": "It polls a port: the device does not answer as the loop expects. `hvkit disasm` shows what it waits for.",
  "io-out": "It writes to a port without end: for a console, `hvkit logs`.",
  exception: "It raises #UD again and again: `hvkit disasm` shows the instruction; its handler goes back to it.",
  rdmsr: "It reads an MSR in a loop.",
  cpuid: "It executes CPUID in a loop: a delay, or a serializing instruction in one.",
};

/** The IN or OUT that was done last, or is next: its port by number and name. */
function portText({ code: [next], before, registers }: Standing): string | undefined {
  const dx = Number(register(registers, "rdx") & 0xffffn);
  const [first = 0, last = 0] = before;
  const match = next && /^(?:in|out) .*?\b(dx|0x[0-9a-f]+|\d+)\b/.exec(next.text);
  let port: number;
  if (match) port = match[1] === "dx" ? dx : Number(match[1]);
  else if (BY_NUMBER.includes(first)) port = last;
  else if (BY_DX.includes(last)) port = dx;
  else return undefined;
  const name = PORTS.find(([from, to]) => port >= from && port <= to)?.[2];
  return `port ${port.toString(16).toUpperCase()}h${name === undefined ? "" : `, ${name}`}`;
}

/** Opcodes of IN and OUT with the port in the instruction, and with it in DX (SDM vol. 2). */
const BY_NUMBER = [0xe4, 0xe5, 0xe6, 0xe7];
const BY_DX = [0xec, 0xed, 0xee, 0xef];

const PORTS: [number, number, string][] = [
  [0x20, 0x21, "master PIC"],
  [0xa0, 0xa1, "slave PIC"],
  [0x40, 0x43, "PIT"],
  [0x60, 0x60, "keyboard controller"],
  [0x61, 0x61, "system control"],
  [0x64, 0x64, "keyboard controller's status"],
  [0x70, 0x71, "RTC"],
  [0x2f8, 0x2ff, "COM2"],
  [0x3f8, 0x3ff, "COM1"],
];
