// What can be typed at the prompt of `hvkit open`: a hand at the devices. Ports and bytes are hexadecimal, as in data sheets. The verbs that
// read are the commands themselves (opensession.ts).
import { HvkitError } from "../errors.js";
import { type InjectedEvent, type Machine, machineOf } from "../inspect/devices/machine.js";
import { fateText } from "../inspect/devices/pic.js";
import { register } from "../inspect/view.js";
import type { OfflineMachine, PortSize } from "../offline/machine.js";
import { eventText, printable, requestsText } from "./commands/machine.js";

export interface Answer {
  /** with --json */
  json: Record<string, unknown>;
  /** for people; undefined: there is nothing to say */
  text?: string | undefined;
}

export interface Verb {
  usage: string;
  about: string;
  /** how many words follow it */
  words: readonly [least: number, most: number];
  run(machine: OfflineMachine, words: readonly string[]): Promise<Answer> | Answer;
}

const IF = 0x200n;

export const VERBS: Readonly<Record<string, Verb>> = {
  in: {
    usage: "in PORT [1|2|4]",
    about: "read a port, as the guest would: in 3f8",
    words: [1, 2],
    run: (machine, [port = "", size]) => {
      const [at, bytes] = [parseHex(port, "port", 0xffff), parseSize(size)];
      const value = machine.in(at, bytes);
      return { json: { port: at, size: bytes, value }, text: `${hex(value, 2 * bytes)}h` };
    },
  },
  out: {
    usage: "out PORT VALUE [1|2|4]",
    about: "write one: out 20 20",
    words: [2, 3],
    run: (machine, [port = "", text = "", size]) => {
      const [at, bytes] = [parseHex(port, "port", 0xffff), parseSize(size)];
      const value = parseHex(text, "value", 2 ** (8 * bytes) - 1);
      machine.out(at, bytes, value);
      return { json: { port: at, size: bytes, value } };
    },
  },
  tick: {
    usage: "tick TIME",
    about: "let guest time pass, with its timers: tick 1ms; units are ns, us, ms, s",
    words: [1, 1],
    run: (machine, [text = ""]) => {
      const ns = parseTime(text);
      machine.tick(ns);
      return { json: { ns: String(ns) } };
    },
  },
  type: {
    usage: "type [com2] TEXT",
    about: String.raw`input on COM1, or COM2; \r, \n, \t and \xNN stand for bytes: type 'ls\n'`,
    words: [1, 2],
    run: (machine, words) => {
      const port = words.length === 2 ? parsePort(words[0] ?? "") : 0;
      const bytes = bytesOf(words.at(-1) ?? "");
      machine.type(port, bytes);
      return { json: { port: port === 0 ? "COM1" : "COM2", bytes: Buffer.from(bytes).toString("hex") } };
    },
  },
  nmi: {
    usage: "nmi",
    about: "ask for a non-maskable interrupt",
    words: [0, 0],
    run: (machine) => {
      machine.nmi();
      return { json: {} };
    },
  },
  irq: {
    usage: "irq",
    about: "what interrupts are asked for, what keeps them back, and whether the CPU would take one",
    words: [0, 0],
    run: async (machine) => {
      const found = machineOf(await machine.machine());
      const takes = cpuText(await machine.registers(), found);
      const requests = requestsOf(found).map(({ irq, kind, text }) => ({ irq, kind, keptBack: text ?? null }));
      return { json: { int: found.pics.master.int, requests, cpu: takes }, text: `${requestsText(found)}\nCPU: ${takes}` };
    },
  },
  take: {
    usage: "take",
    about: "let the CPU take what waits for it; nothing of the handler runs: its EOI is yours (out 20 20)",
    words: [0, 0],
    run: async (machine) => {
      const taken = machine.take();
      const text = taken ? takenText(taken) : `nothing: ${cpuText(await machine.registers(), machineOf(await machine.machine()))}`;
      return { json: { taken }, text };
    },
  },
  cpuid: {
    usage: "cpuid LEAF [SUBLEAF]",
    about: "what CPUID tells the guest: cpuid 1, cpuid 80000008",
    words: [1, 2],
    run: (machine, [leaf = "", subleaf = "0"]) => {
      const answer = machine.cpuid(parseHex(leaf, "leaf", 0xffff_ffff), parseHex(subleaf, "subleaf", 0xffff_ffff));
      const text = Object.entries(answer).map(([name, value]) => `${name.toUpperCase()}=${hex(value, 8)}`);
      return { json: { ...answer }, text: text.join(" ") };
    },
  },
};

/** What a verb did besides: bytes that were sent, interrupts that are now asked for or no more, the guest's end. */
export async function withNews(machine: OfflineMachine, run: () => Promise<Answer> | Answer): Promise<Answer> {
  const before = requestsText(machineOf(await machine.machine()));
  const { json, text } = await run();
  const after = machineOf(await machine.machine());
  const { sent, end } = machine.news();
  const lines = [
    ...(text === undefined ? [] : [text]),
    ...sent.flatMap((bytes, port) => (bytes.length > 0 ? [`COM${port + 1} sent "${[...bytes].map(printable).join("")}"`] : [])),
    ...(requestsText(after) === before ? [] : [`requests: ${requestsText(after).replaceAll("\n", "; ")}`]),
    ...(end ? [`the guest ends: ${end.text}`] : []),
  ];
  const state = { clockNs: String(after.clockNs), sent: sent.map((bytes) => Buffer.from(bytes).toString("hex")), end };
  const requests = requestsOf(after).map(({ irq, kind }) => ({ irq, kind }));
  return { json: { ...json, ...state, requests }, text: lines.length > 0 ? lines.join("\n") : undefined };
}

function requestsOf({ pics }: Machine): { irq: number; kind: string; text: string | undefined }[] {
  return Array.from({ length: 16 }, (_, irq) => irq)
    .filter((irq) => irq !== 2 && pics.fate(irq).kind !== "idle")
    .map((irq) => ({ irq, kind: pics.fate(irq).kind, text: fateText(irq, pics.fate(irq)) }));
}

function cpuText(registers: Readonly<Record<string, bigint>>, { pics, injecting, nmiWaits, deferred }: Machine): string {
  if (injecting) return `its next entry delivers ${eventText(injecting)}`;
  if (nmiWaits && register(registers, "nmiBlocked") === 0n) return "it would take the NMI";
  if (!pics.master.int && !deferred) return "no interrupt comes to it";
  if (register(registers, "interruptShadow") !== 0n) return "it takes none: an STI or MOV SS blocks them for one instruction";
  return register(registers, "rflags") & IF ? "it would take one" : "it takes none: IF is 0";
}

function takenText(event: InjectedEvent): string {
  return `${eventText(event)}${event.type === "interrupt" ? "" : " (no EOI is due)"}`;
}

/** "3f8", "0x3f8", "3f8h" */
function parseHex(text: string, what: string, most: number): number {
  const digits = /^(?:0x)?([0-9a-f]{1,8})h?$/i.exec(text)?.[1];
  const value = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
  if (value <= most) return value;
  throw new HvkitError("E_NUMBER", `${what} '${text}' is not possible`, {
    hint: `It is hexadecimal, from 0 to ${most.toString(16).toUpperCase()}.`,
  });
}

function parseSize(text = "1"): PortSize {
  if (text === "1" || text === "2" || text === "4") return Number(text) as PortSize;
  throw new HvkitError("E_NUMBER", `'${text}' is no size of a port's access`, { hint: "It is 1, 2 or 4 bytes." });
}

const UNITS: Readonly<Record<string, bigint>> = { ns: 1n, us: 1000n, ms: 1_000_000n, s: 1_000_000_000n };
/** a year and a bit */
const MOST_SECONDS = 40_000_000n;

function parseTime(text: string): bigint {
  const [, number = "", unit = ""] = /^(\d+)(ns|us|ms|s)$/.exec(text) ?? [];
  const ns = BigInt(number || -1) * (UNITS[unit] ?? 1n);
  if (ns < 0n) throw new HvkitError("E_NUMBER", `'${text}' is no time`, { hint: "Write it as 500ns, 20us, 1ms or 2s." });
  if (ns <= MOST_SECONDS * 1_000_000_000n) return ns;
  throw new HvkitError("E_NUMBER", `'${text}' is too long a time`, {
    hint: `At most ${MOST_SECONDS}s pass in one tick: more than a year.`,
  });
}

function parsePort(text: string): 0 | 1 {
  if (/^com[12]$/i.test(text)) return text.endsWith("2") ? 1 : 0;
  throw new HvkitError("E_PORT", `the guest has no serial port '${text}'`, { hint: "It is com1 or com2. Text with spaces is quoted." });
}

const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "\\": "\\" };

function bytesOf(text: string): Uint8Array {
  const found = text.replaceAll(/\\(?:x([0-9a-f]{2})|([rnt\\])|(x?.?))/gis, (all, byte?: string, letter?: string) => {
    if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16));
    if (letter !== undefined) return ESCAPES[letter.toLowerCase()] ?? "";
    throw new HvkitError("E_ESCAPE", `'${all}' stands for no byte`, {
      hint: String.raw`Write \r, \n, \t, \xNN with two digits, or \\ for a backslash.`,
    });
  });
  return Buffer.from(found, "latin1");
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
