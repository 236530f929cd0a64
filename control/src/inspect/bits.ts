// Bits of the registers by the manual's names (SDM vol. 1, 3.4.3; vol. 3, 2.5, 2.6, 17.2; vol. 4 for EFER; vol. 1, 13.3 for XCR0).

export type Bits = readonly (readonly [bit: number, name: string])[];

const rflags: Bits = [
  [0, "CF"],
  [2, "PF"],
  [4, "AF"],
  [6, "ZF"],
  [7, "SF"],
  [8, "TF"],
  [9, "IF"],
  [10, "DF"],
  [11, "OF"],
  [14, "NT"],
  [16, "RF"],
  [17, "VM"],
  [18, "AC"],
  [19, "VIF"],
  [20, "VIP"],
  [21, "ID"],
];
const cr0: Bits = [
  [0, "PE"],
  [1, "MP"],
  [2, "EM"],
  [3, "TS"],
  [4, "ET"],
  [5, "NE"],
  [16, "WP"],
  [18, "AM"],
  [29, "NW"],
  [30, "CD"],
  [31, "PG"],
];
const cr4: Bits = [
  [0, "VME"],
  [1, "PVI"],
  [2, "TSD"],
  [3, "DE"],
  [4, "PSE"],
  [5, "PAE"],
  [6, "MCE"],
  [7, "PGE"],
  [8, "PCE"],
  [9, "OSFXSR"],
  [10, "OSXMMEXCPT"],
  [11, "UMIP"],
  [12, "LA57"],
  [13, "VMXE"],
  [14, "SMXE"],
  [16, "FSGSBASE"],
  [17, "PCIDE"],
  [18, "OSXSAVE"],
  [20, "SMEP"],
  [21, "SMAP"],
  [22, "PKE"],
  [23, "CET"],
  [24, "PKS"],
];
const efer: Bits = [
  [0, "SCE"],
  [8, "LME"],
  [10, "LMA"],
  [11, "NXE"],
  [12, "SVME"],
  [13, "LMSLE"],
  [14, "FFXSR"],
  [15, "TCE"],
];
const xcr0: Bits = [
  [0, "x87"],
  [1, "SSE"],
  [2, "AVX"],
  [3, "BNDREGS"],
  [4, "BNDCSR"],
  [5, "opmask"],
  [6, "ZMM_Hi256"],
  [7, "Hi16_ZMM"],
  [9, "PKRU"],
];
const dr6: Bits = [
  [0, "B0"],
  [1, "B1"],
  [2, "B2"],
  [3, "B3"],
  [13, "BD"],
  [14, "BS"],
  [15, "BT"],
];
const dr7: Bits = [
  [0, "L0"],
  [1, "G0"],
  [2, "L1"],
  [3, "G1"],
  [4, "L2"],
  [5, "G2"],
  [6, "L3"],
  [7, "G3"],
  [8, "LE"],
  [9, "GE"],
  [13, "GD"],
];
export const bitTables = { rflags, cr0, cr4, efer, xcr0, dr6, dr7 };

/** The registers of which the bits have names. */
export type BitRegister = keyof typeof bitTables;
export const bitRegisters = Object.keys(bitTables) as BitRegister[];

/** Names of the bits that are set, from the lowest; one without a name is "bit N". Of RFLAGS bit 1 and of DR6 the reserved ones, which are always
 *  1, are left out, and IOPL is "IOPL=N" where it is not 0. */
export function bitNames(register: BitRegister, value: bigint): string[] {
  const table = new Map<number, string>(bitTables[register]);
  const silent = register === "rflags" ? 0x3002n : register === "dr6" ? 0xffff_0ff0n : register === "dr7" ? 0xffff_0400n : 0n;
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    const mask = 1n << BigInt(bit);
    if (register === "rflags" && bit === 12 && (value >> 12n) & 3n) names.push(`IOPL=${(value >> 12n) & 3n}`);
    if (value & mask && !(silent & mask)) names.push(table.get(bit) ?? `bit ${bit}`);
  }
  return names;
}
