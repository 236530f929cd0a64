// Addresses as people write them for the tools: 0xffffffff81000000, 4096, 4K, a register (rip, rsp, gdtr.base), and sums of these: rsp+0x20.
import { parseNumber } from "../api/size.js";
import { HvkitError } from "../errors.js";
import type { Registers } from "./view.js";

/** A 64-bit address. `registers` is called when a register is named. Errors: E_NUMBER. */
export async function parseAddress(text: string, registers: () => Promise<Registers>): Promise<bigint> {
  const terms = [...text.replaceAll(/\s/g, "").matchAll(/([+-]?)([^+-]+)/g)];
  if (terms.length === 0 || terms.map(([term]) => term).join("") !== text.replaceAll(/\s/g, "")) throw noAddress(text);
  let sum = 0n;
  for (const [, sign, term = ""] of terms) {
    const value = await parseTerm(term, registers);
    sum += sign === "-" ? -value : value;
  }
  return BigInt.asUintN(64, sum);
}

async function parseTerm(term: string, registers: () => Promise<Registers>): Promise<bigint> {
  if (/^0x[0-9a-f]{1,16}$/i.test(term)) return BigInt(term);
  if (/^\d/.test(term)) return BigInt(parseNumber(term, "address"));
  const known = Object.entries(await registers()).find(([name]) => name.toLowerCase() === term.toLowerCase());
  if (!known) throw noAddress(term);
  return known[1];
}

function noAddress(text: string): HvkitError {
  return new HvkitError("E_NUMBER", `'${text}' is not an address`, {
    hint: "Write it as 0x7c00, 4096, a register such as rip, or a sum such as rsp+0x20.",
  });
}
