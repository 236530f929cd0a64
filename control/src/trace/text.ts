// A recorded exit in words: "OUT 3F8h 'L'", "RDMSR IA32_EFER". Numbers as the manuals write them.
import type { TracedExit } from "../api/trace.js";
import { vectorName } from "../inspect/vectors.js";
import type { Access } from "./access.js";
import { msrName } from "./msrs.js";

/** What the guest did, and what came of it. */
export function describeExit(exit: TracedExit): string {
  const done = {
    resume: "",
    halt: "",
    stop: ", and the guest ends",
    break: ", and its debugger has it",
    trap: ", whose handler trapped: the guest ends",
  }[exit.verdict];
  return `${operation(exit)}${done}`;
}

/** "0.012345 1001B4 OUT 3F8h 'L'": one line of `hvkit trace`. */
export function showExit(exit: TracedExit): string {
  const { index, timeNs, rip } = exit;
  const rounded = BigInt(timeNs) / 1000n;
  const seconds = `${rounded / 1_000_000n}.${String(rounded % 1_000_000n).padStart(6, "0")}`;
  return `${String(index).padStart(6)}  ${seconds.padStart(11)}  ${digits(rip).padStart(16)}  ${describeExit(exit)}`;
}

function operation(exit: TracedExit): string {
  const { port = 0, bytes = 1, value = "0x0", register = 0 } = exit;
  switch (exit.reason) {
    case "cpuid": {
      const subleaf = exit.subleaf === "0x0" ? "" : `, subleaf ${number(exit.subleaf)}`;
      return `CPUID ${number(exit.leaf)}${subleaf}: EAX=${padded(value, 4)}`;
    }
    case "hypercall":
      return `hypercall ${number(exit.call)}: RAX=${number(value)}`;
    case "io-out":
      return `OUT ${portNumber(port)} ${padded(value, bytes)}${character(exit)}`;
    case "io-in":
      return `IN ${portNumber(port)}: ${padded(value, bytes)}${character(exit)}`;
    case "io-string": {
      const repeat = exit.count === undefined ? "" : "REP ";
      const times = exit.count === undefined ? "" : `, ${exit.count} to do`;
      const name = exit.direction === "in" ? "INS" : "OUTS";
      return `${repeat}${name}${WIDTHS[bytes] ?? ""} ${portNumber(port)}${times}`;
    }
    case "rdmsr":
      return `RDMSR ${msr(exit.msr)}, then EAX=${padded(value, 4)}`;
    case "wrmsr":
      return `WRMSR ${msr(exit.msr)}, EAX=${padded(value, 4)}`;
    case "cr-access":
      return `MOV ${exit.direction === "read" ? `from CR${register}` : `to CR${register}`}`;
    case "dr-access":
      return `MOV ${exit.direction === "read" ? `from DR${register}` : `to DR${register}`}`;
    case "xsetbv":
      return `XSETBV XCR${register}, EAX=${padded(value, 4)}`;
    case "nested-fault": {
      const where = exit.address === undefined ? "memory" : `${digits(exit.address).padStart(8, "0")}h`;
      const what = { fetch: "fetch from", write: "write to", read: "read of" }[exit.direction as Access];
      return `${what} ${where}${exit.address === undefined ? " that" : ", which"} the machine does not have`;
    }
    case "exception":
      return vectorName(exit.vector ?? -1);
    case "task-switch":
      return `task switch to ${padded(exit.selector, 2)}`;
    case "rdtsc":
      return `RDTSC, then EAX=${padded(value, 4)}`;
    default:
      return PLAIN[exit.reason] ?? `${exit.reason} (raw ${number(exit.raw.reason)}, ${number(exit.raw.qualification)})`;
  }
}

const WIDTHS: Readonly<Record<number, string>> = { 1: "B", 2: "W", 4: "D" };

const PLAIN: Readonly<Record<string, string>> = {
  hlt: "HLT",
  "interrupt-window": "interrupts can be taken",
  "nmi-window": "an NMI can be taken",
  "triple-fault": "triple fault",
  "cache-control": "INVD or WBINVD",
  undefined: "an instruction that its CPU does not have",
  pause: "PAUSE",
  "entry-failed": "the entry failed",
};

/** Without 0x. */
const digits = (address: string): string => address.slice(2).toUpperCase();
const number = (address = "0x0"): string => `${digits(address)}h`;
const padded = (address = "0x0", bytes = 1): string => `${digits(address).padStart(2 * bytes, "0")}h`;
const portNumber = (port: number): string => `${port.toString(16).toUpperCase()}h`;

function msr(address = "0x0"): string {
  return msrName(Number(address)) ?? number(address);
}

/** The data ports of COM1 and COM2, and E9h: their bytes are mostly characters. */
const TEXT_PORTS: readonly number[] = [0x3f8, 0x2f8, 0xe9];

function character({ port = 0, bytes, value }: TracedExit): string {
  const code = Number(value);
  return TEXT_PORTS.includes(port) && bytes === 1 && code >= 0x20 && code < 0x7f ? ` '${String.fromCharCode(code)}'` : "";
}
