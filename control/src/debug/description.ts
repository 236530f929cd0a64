// The target description that gdb reads over qXfer:features (gdb manual, appendix G): the registers of registers.ts, with the bits of
// flags by name.
import { type Bits, bitTables } from "../inspect/bits.js";
import type { Feature, RegisterInfo } from "./registers.js";

/** Names that gdb knows; it shows registers of other features under their own names. */
const features: Readonly<Record<Feature, string>> = {
  core: "org.gnu.gdb.i386.core",
  segments: "org.gnu.gdb.i386.segments",
  sse: "org.gnu.gdb.i386.sse",
  avx: "org.gnu.gdb.i386.avx",
  system: "hvkit.system",
};

/** MXCSR, which no other tool names (SDM vol. 1, 10.2.3). */
const MXCSR: Bits = [
  [0, "IE"],
  [1, "DE"],
  [2, "ZE"],
  [3, "OE"],
  [4, "UE"],
  [5, "PE"],
  [6, "DAZ"],
  [7, "IM"],
  [8, "DM"],
  [9, "ZM"],
  [10, "OM"],
  [11, "UM"],
  [12, "PM"],
  [15, "FZ"],
];

const vectors = `<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/><vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/></union>`;

const types: Readonly<Partial<Record<Feature, string>>> = {
  core: flags("i386_eflags", 4, bitTables.rflags),
  sse: `${vectors}\n${flags("i386_mxcsr", 4, MXCSR)}`,
  system: [flags("x64_cr0", 8, bitTables.cr0), flags("x64_cr4", 8, bitTables.cr4), flags("x64_efer", 8, bitTables.efer)].join("\n"),
};

export function targetDescription(table: readonly RegisterInfo[]): string {
  const present = (Object.keys(features) as Feature[]).filter((feature) => table.some((info) => info.feature === feature));
  const blocks = present.map((feature) => {
    const rows = table.map((info, number) => (info.feature === feature ? registerElement(info, number) : "")).filter((row) => row !== "");
    return `<feature name="${features[feature]}">\n${[types[feature] ?? "", ...rows].join("\n")}\n</feature>`;
  });
  return `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>i386:x86-64</architecture>
${blocks.join("\n")}
</target>
`;
}

function registerElement({ name, bytes, type, feature }: RegisterInfo, number: number): string {
  const group = feature === "core" && type === "int" ? ' group="float"' : feature === "sse" || feature === "avx" ? ' group="vector"' : "";
  return `<reg name="${name}" bitsize="${bytes * 8}" type="${type}" regnum="${number}"${group}/>`;
}

function flags(id: string, size: number, bits: Bits): string {
  const fields = bits.map(([bit, name]) => `<field name="${name}" start="${bit}" end="${bit}"/>`);
  return `<flags id="${id}" size="${size}">${fields.join("")}</flags>`;
}
