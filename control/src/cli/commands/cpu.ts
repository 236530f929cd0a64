// hvkit cpu: a guest's CPU in words: its mode, its registers, every bit by its name.
import { Command } from "@commander-js/extra-typings";
import { bitNames, bitRegisters } from "../../inspect/bits.js";
import { SEGMENTS, segmentOf } from "../../inspect/segment.js";
import { codeBits, pagingOf, privilege, type Registers, register } from "../../inspect/view.js";
import { pagingMode } from "../../inspect/walk.js";
import { print, printJson } from "../output.js";
import { SUBJECT, withSubject } from "../subject.js";

const GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const CONTROL = ["cr2", "cr3", "cr8", "dr0", "dr1", "dr2", "dr3", "star", "lstar", "cstar", "sfmask", "kernelGsBase"];

export interface CpuState {
  guest: string;
  state: string;
  idle: boolean;
  registers: Registers;
}

export const cpu = () =>
  new Command("cpu")
    .description("print a guest's CPU in words: its mode, and every register's bits by name")
    .argument("<guest-or-snapshot>", SUBJECT)
    .option("--json", "print {guest, mode, privilege, paging, bits: {cr0: [...], ...}, segments, registers}")
    .addHelpText(
      "after",
      `
Examples:
  hvkit cpu web
  hvkit cpu ./web.hvsnap

'hvkit regs' prints the same registers as QEMU's 'info registers' does.`,
    )
    .action(async (guest, { json }) => {
      await withSubject(guest, async ({ view, name, state, idle }) => {
        const found: CpuState = { guest: name, state, idle, registers: await view.registers() };
        if (json) printJson(cpuJson(found));
        else print(showCpu(found));
      });
    });

/** "real mode", "virtual-8086 mode", "64-bit mode", ... (SDM vol. 3, 2.2) */
export function modeOf(registers: Registers): string {
  const bits = codeBits(registers);
  if (!(register(registers, "cr0") & 1n)) return "real mode";
  if (register(registers, "rflags") & 0x20000n) return "virtual-8086 mode";
  if (bits === 64) return "64-bit mode";
  return `${register(registers, "efer") & 0x400n ? "compatibility mode" : "protected mode"}, ${bits}-bit code`;
}

function pagingText(registers: Registers): string {
  try {
    const mode = pagingMode(pagingOf(registers));
    return mode === "none" ? "paging off" : `${mode} paging`;
  } catch {
    return "5-level paging";
  }
}

export function showCpu({ state, idle, registers }: CpuState): string {
  const value = (name: string): bigint => register(registers, name);
  const lines = [`${modeOf(registers)}, CPL ${privilege(registers)}, ${pagingText(registers)} (${state}${idle ? ", halted" : ""})`];
  for (let row = 0; row < GENERAL.length; row += 4) {
    const names = GENERAL.slice(row, row + 4);
    lines.push(names.map((name) => `${name.toUpperCase().padEnd(3)}=${hex(value(name), 16)}`).join(" "));
  }
  const flags = [
    ...(value("interruptShadow") ? ["interrupts blocked for one instruction"] : []),
    ...(value("nmiBlocked") ? ["NMIs blocked"] : []),
  ];
  lines.push(`RIP=${hex(value("rip"), 16)}${flags.length > 0 ? `  ${flags.join(", ")}` : ""}`);
  for (const name of bitRegisters) {
    lines.push(
      `${name.toUpperCase().padEnd(6)}=${hex(value(name), name === "rflags" ? 8 : 16)} [${bitNames(name, value(name)).join(" ")}]`,
    );
  }
  for (const name of SEGMENTS) {
    const { selector, base, limit, usable, kind, level, rights } = segmentOf(registers, name);
    const what = usable ? [kind, `DPL ${level}`, ...rights].join(", ") : kind;
    lines.push(`${name.toUpperCase().padEnd(4)}=${hex(selector, 4)} base ${hex(base, 16)} limit ${hex(limit, 8)}  ${what}`);
  }
  for (const name of ["gdtr", "idtr"]) {
    lines.push(`${name.toUpperCase()}=     base ${hex(value(`${name}.base`), 16)} limit ${hex(value(`${name}.limit`), 8)}`);
  }
  for (let row = 0; row < CONTROL.length; row += 4) {
    const names = CONTROL.slice(row, row + 4);
    lines.push(names.map((name) => `${name === "kernelGsBase" ? "KGSB" : name.toUpperCase()}=${hex(value(name), 16)}`).join(" "));
  }
  lines.push(`SYSENTER CS=${hex(value("sysenterCs"), 4)} EIP=${hex(value("sysenterEip"), 16)} ESP=${hex(value("sysenterEsp"), 16)}`);
  lines.push(`PAT=${hex(value("pat"), 16)} TSC=${value("tsc")}`);
  return lines.join("\n");
}

export function cpuJson({ guest, state, idle, registers }: CpuState) {
  const text = (value: bigint): string => `0x${value.toString(16)}`;
  return {
    guest,
    state,
    idle,
    mode: modeOf(registers),
    privilege: privilege(registers),
    paging: pagingText(registers),
    bits: Object.fromEntries(bitRegisters.map((name) => [name, bitNames(name, register(registers, name))])),
    segments: SEGMENTS.map((name) => {
      const { base, ...segment } = segmentOf(registers, name);
      return { ...segment, base: text(base) };
    }),
    registers: Object.fromEntries(Object.entries(registers).map(([name, value]) => [name, text(value)])),
  };
}

function hex(value: bigint | number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
