// The instructions that a single step must know: they save, load or clear the flag that steps are made with, or leave for a place that the
// registers name. Opcodes only; no operand matters (SDM vol. 2, appendix A).

export type InstructionKind =
  | "plain"
  /** PUSHF: stores TF */
  | "pushes"
  /** POPF, IRET: load TF */
  | "pops"
  /** INT n, INT1, INT3, INTO */
  | "interrupt"
  | "syscall"
  | "sysenter"
  | "sysret"
  | "sysexit";

export interface Instruction {
  kind: InstructionKind;
  /** of "interrupt" */
  vector?: number;
  /** bytes of PUSHF's operand */
  operandBytes: 2 | 4 | 8;
  /** SYSRET, SYSEXIT: to 64-bit code */
  wide: boolean;
}

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** @param code up to 15 bytes  @param width bytes of the code segment's default size */
export function decodeInstruction(code: Uint8Array, width: 2 | 4 | 8): Instruction {
  let at = 0;
  let small = false;
  while (PREFIXES.has(code[at] ?? 0)) {
    if (code[at] === 0x66) small = true;
    at++;
  }
  let wide = false;
  if (width === 8 && ((code[at] ?? 0) & 0xf0) === 0x40) {
    wide = ((code[at] ?? 0) & 8) !== 0;
    at++;
  }
  const operandBytes = small ? (width === 2 ? 4 : 2) : width;
  return { operandBytes, wide, ...classify(code, at, width) };
}

function classify(code: Uint8Array, at: number, width: number): { kind: InstructionKind; vector?: number } {
  switch (code[at]) {
    case 0x9c:
      return { kind: "pushes" };
    case 0x9d:
    case 0xcf:
      return { kind: "pops" };
    case 0xcc:
      return { kind: "interrupt", vector: 3 };
    case 0xcd:
      return { kind: "interrupt", vector: code[at + 1] ?? 0 };
    case 0xce:
      return width === 8 ? { kind: "plain" } : { kind: "interrupt", vector: 4 };
    case 0xf1:
      return { kind: "interrupt", vector: 1 };
    case 0x0f:
      switch (code[at + 1]) {
        case 0x05:
          return { kind: "syscall" };
        case 0x07:
          return { kind: "sysret" };
        case 0x34:
          return { kind: "sysenter" };
        case 0x35:
          return { kind: "sysexit" };
        default:
          return { kind: "plain" };
      }
    default:
      return { kind: "plain" };
  }
}
