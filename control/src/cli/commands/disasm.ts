// hvkit disasm: a guest's code, from where it stands or from an address on, as NASM writes it.
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { parseAddress } from "../../inspect/address.js";
import { type Code, readCode } from "../../inspect/code.js";
import type { CodeBits } from "../../inspect/disasm.js";
import { cached } from "../../inspect/memory.js";
import { linearOf, register } from "../../inspect/view.js";
import { note, print, printJson, style } from "../output.js";
import { SUBJECT, withSubject } from "../subject.js";

const MOST = 4096;

export const disasm = () =>
  new Command("disasm")
    .description("print a guest's code")
    .argument("<guest-or-snapshot>", SUBJECT)
    .argument("[address]", "linear, for example 0x7c00 or rip+5; without it: where the guest stands")
    .option("-n, --count <number>", "instructions", (text) => parseCount(text, MOST), 10)
    .addOption(new Option("--bits <bits>", "what the code is; by default what the guest executes now").choices(["16", "32", "64"] as const))
    .option("-p, --physical", "the address is guest-physical")
    .option("--json", "print {guest, bits, instructions: [{address, bytes, text, current}]}")
    .addHelpText(
      "after",
      `
Addresses are linear; with a code segment that has a base, targets of jumps are offsets in it. '=>' is the next instruction.

Examples:
  hvkit disasm web
  hvkit disasm web rip-0x20 -n 20
  hvkit disasm boot 0x7c00 --bits 16
  hvkit disasm ./web.hvsnap`,
    )
    .action(async (guest, addressText, { count, bits, physical, json }) => {
      await withSubject(guest, async ({ view }) => {
        const registers = await view.registers();
        const current = linearOf(registers, "cs", register(registers, "rip"));
        const address = addressText === undefined ? current : await parseAddress(addressText, async () => registers);
        const code = await readCode(cached(view.memory), registers, address, count, {
          ...(bits === undefined ? {} : { bits: Number(bits) as CodeBits }),
          ...(physical ? { paging: { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n } } : {}),
        });
        const marked = physical ? undefined : current;
        if (json) {
          const instructions = code.instructions.map(({ address: at, bytes, text }) => ({
            address: `0x${at.toString(16)}`,
            bytes: Buffer.from(bytes).toString("hex"),
            text,
            current: at === marked,
          }));
          printJson({ guest: view.name, bits: code.bits, instructions });
          return;
        }
        print(showCode(code, marked));
        if (code.unmapped) note(code.unmapped.message);
      });
    });

/** Address, bytes, instruction; the one at `current` has an arrow. */
export function showCode({ instructions }: Pick<Code, "instructions">, current: bigint | undefined): string {
  const longest = Math.max(8, ...instructions.map(({ bytes }) => bytes.length));
  const digits = instructions.some(({ address }) => address >> 32n) ? 16 : 8;
  return instructions
    .map(({ address, bytes, text }) => {
      const line = `${address.toString(16).padStart(digits, "0")}  ${Buffer.from(bytes)
        .toString("hex")
        .padEnd(2 * longest)}  ${text}`;
      return address === current ? style(`=> ${line}`, "bold") : `   ${line}`;
    })
    .join("\n");
}

export function parseCount(text: string, most: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > most) throw new InvalidArgumentError(`It is from 1 to ${most}.`);
  return count;
}
