// hvkit regs: a guest's registers, in the form of QEMU's "info registers".
import { Command } from "@commander-js/extra-typings";
import type { Result } from "../../api/methods.js";
import { hex as address } from "../../hex.js";
import { print, printJson } from "../output.js";
import { SUBJECT, type Subject, withSubject } from "../subject.js";

export const regs = () =>
  new Command("regs")
    .description("print a guest's registers, as QEMU's 'info registers' does")
    .argument("<guest-or-snapshot>", SUBJECT)
    .option("--json", "print as JSON: hexadecimal strings by name")
    .addHelpText(
      "after",
      `
Examples:
  hvkit regs web
  hvkit regs web --json
  hvkit regs ./web.hvsnap

The guest need not be paused; a guest that has ended shows its last state. Segments: selector, base, limit, attributes.`,
    )
    .action(async (guest, { json }) => {
      await withSubject(guest, async (subject) => {
        const found = await registersOf(subject);
        if (json) printJson(found);
        else print(showRegisters(found));
      });
    });

type Found = Omit<Result<"regs">, "state"> & Pick<Subject, "state">;

/** Of a guest that runs, state and registers of one moment. */
async function registersOf({ view, id, name, state, idle, live }: Subject): Promise<Found> {
  if (live) return live.client.call("regs", { guest: id });
  const registers = Object.entries(await view.registers()).map(([register, value]) => [register, address(value)]);
  return { id, name, state, idle, registers: Object.fromEntries(registers) };
}

const FLAGS: [number, string][] = [
  [11, "O"],
  [10, "D"],
  [7, "S"],
  [6, "Z"],
  [4, "A"],
  [2, "P"],
  [0, "C"],
];

export function showRegisters({ registers, idle, state }: Pick<Found, "registers" | "idle" | "state">): string {
  const value = (name: string): bigint => BigInt(registers[name] ?? "0x0");
  const wide = (name: string): string => hex(value(name), 16);
  const narrow = (name: string): string => hex(value(name), 8);
  const row = (...names: string[]): string => names.map((name) => `${name.toUpperCase().padEnd(3)}=${wide(name)}`).join(" ");
  const flags = value("rflags");
  const letters = FLAGS.map(([bit, letter]) => ((flags >> BigInt(bit)) & 1n ? letter : "-")).join("");
  const level = (value("ss.attributes") >> 5n) & 3n;
  const segment = (name: string, label = name.toUpperCase()): string => {
    const attributes = value(`${name}.attributes`);
    const selector = hex(value(`${name}.selector`), 4);
    return `${label.padEnd(3)}=${selector} ${wide(`${name}.base`)} ${narrow(`${name}.limit`)} ${hex((attributes & 0xf0ffn) << 8n, 8)} ${describe(attributes, name)}`.trimEnd();
  };
  return [
    row("rax", "rbx", "rcx", "rdx"),
    row("rsi", "rdi", "rbp", "rsp"),
    row("r8", "r9", "r10", "r11"),
    row("r12", "r13", "r14", "r15"),
    `RIP=${wide("rip")} RFL=${hex(flags, 8)} [${letters}] CPL=${level} II=${value("interruptShadow")} HLT=${idle ? 1 : 0} (${state})`,
    ...["es", "cs", "ss", "ds", "fs", "gs"].map((name) => segment(name)),
    segment("ldtr", "LDT"),
    segment("tr"),
    `GDT=     ${wide("gdtr.base")} ${narrow("gdtr.limit")}`,
    `IDT=     ${wide("idtr.base")} ${narrow("idtr.limit")}`,
    `CR0=${narrow("cr0")} CR2=${wide("cr2")} CR3=${wide("cr3")} CR4=${narrow("cr4")} CR8=${hex(value("cr8"), 1)}`,
    `DR0=${wide("dr0")} DR1=${wide("dr1")} DR2=${wide("dr2")} DR3=${wide("dr3")}`,
    `DR6=${wide("dr6")} DR7=${wide("dr7")}`,
    `EFER=${wide("efer")} XCR0=${wide("xcr0")} PAT=${wide("pat")}`,
    `STAR=${wide("star")} LSTAR=${wide("lstar")} CSTAR=${wide("cstar")} SFMASK=${wide("sfmask")}`,
    `KERNELGSBASE=${wide("kernelGsBase")} SYSENTER=${hex(value("sysenterCs"), 4)}:${wide("sysenterEip")} ESP=${wide("sysenterEsp")}`,
    `TSC=${value("tsc")}`,
  ].join("\n");
}

/** What a descriptor is, in QEMU's words: privilege, kind and rights. SDM vol. 3, 3.4.5.1 and 3.5. */
function describe(attributes: bigint, name: string): string {
  if ((attributes & 0x10000n) !== 0n || (attributes & 0x80n) === 0n) return "";
  const level = `DPL=${(attributes >> 5n) & 3n}`;
  const bit = (index: bigint): boolean => ((attributes >> index) & 1n) !== 0n;
  if (!bit(4n)) return `${level} ${name === "tr" ? (bit(1n) ? "TSS-busy" : "TSS-avl") : "LDT"}`;
  const accessed = bit(0n) ? "A" : "-";
  if (bit(3n)) return `${level} CS${bit(13n) ? 64 : bit(14n) ? 32 : 16} [${bit(2n) ? "C" : "-"}${bit(1n) ? "R" : "-"}${accessed}]`;
  return `${level} DS${bit(14n) ? 32 : 16} [${bit(2n) ? "E" : "-"}${bit(1n) ? "W" : "-"}${accessed}]`;
}

function hex(value: bigint, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
