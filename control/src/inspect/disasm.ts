// Instructions as NASM would write them, by iced-x86: from bytes of any mode to lines.
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";

/** Bytes of an instruction at most (SDM vol. 2, 2.3.11). */
export const MAX_INSTRUCTION = 15;

export interface Instruction {
  /** linear */
  address: bigint;
  bytes: Uint8Array;
  text: string;
  /** what the mnemonic does to the flow, for diagnoses */
  mnemonic: string;
}

export type CodeBits = 16 | 32 | 64;

/** Up to `count` instructions from `bytes`, whose first lies at linear `address`. One that the bytes end in, or that is none, is told as data
 *  (db): a byte, and what follows is tried anew. @param base of the code segment: targets of branches are offsets in it */
export function disassemble(bits: CodeBits, address: bigint, bytes: Uint8Array, count: number, base = 0n): Instruction[] {
  const formatter = new Formatter(FormatterSyntax.Nasm);
  formatter.hexPrefix = "0x";
  formatter.hexSuffix = "";
  formatter.uppercaseHex = false;
  formatter.smallHexNumbersInDecimal = true;
  formatter.spaceAfterOperandSeparator = false;
  formatter.ripRelativeAddresses = false;
  const decoder = new Decoder(bits, bytes, DecoderOptions.None);
  const offset = BigInt.asUintN(bits, address - base);
  decoder.ip = offset;
  const found: Instruction[] = [];
  try {
    while (found.length < count && decoder.canDecode) {
      const start = decoder.position;
      const instruction = decoder.decode();
      const at = BigInt.asUintN(64, address + BigInt(start));
      if (instruction.isInvalid) {
        found.push({ address: at, bytes: bytes.subarray(start, start + 1), text: `db 0x${hex2(bytes[start])}`, mnemonic: "db" });
        decoder.position = start + 1;
        decoder.ip = BigInt.asUintN(bits, offset + BigInt(start) + 1n);
      } else {
        const text = formatter.format(instruction);
        const mnemonic = text.replace(/^(?:(?:rep[a-z]*|lock|xacquire|xrelease|notrack|bnd) )+/, "").split(" ")[0] ?? text;
        found.push({ address: at, bytes: bytes.subarray(start, decoder.position), text, mnemonic });
      }
      instruction.free();
    }
  } finally {
    decoder.free();
    formatter.free();
  }
  return found;
}

const hex2 = (byte: number | undefined): string => (byte ?? 0).toString(16).padStart(2, "0");
