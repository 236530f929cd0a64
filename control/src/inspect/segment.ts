// A segment's attributes in words: kind, privilege, rights (SDM vol. 3, 3.4.5.1 and 3.5; the form is that of protocol/state.ts, Register).
import { type Registers, register } from "./view.js";

export const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"] as const;
export type SegmentName = (typeof SEGMENTS)[number];

export interface Segment {
  name: SegmentName;
  selector: number;
  base: bigint;
  limit: number;
  attributes: number;
  /** false: VMX's "unusable", or not present: a null selector was loaded */
  usable: boolean;
  /** "64-bit code", "32-bit data", "16-bit stack, expand-down", "busy 64-bit TSS", "LDT" */
  kind: string;
  level: number;
  /** of code and data: readable, writable, executable, conforming, expand-down, accessed */
  rights: string[];
}

const UNUSABLE = 0x10000;
const PRESENT = 0x80;

export function segmentOf(registers: Registers, name: SegmentName): Segment {
  const value = (part: string): bigint => register(registers, `${name}.${part}`);
  const attributes = Number(value("attributes"));
  const usable = (attributes & UNUSABLE) === 0 && (attributes & PRESENT) !== 0;
  return {
    name,
    selector: Number(value("selector")),
    base: value("base"),
    limit: Number(value("limit")),
    attributes,
    usable,
    kind: usable ? kindOf(attributes, name) : "unusable",
    level: (attributes >> 5) & 3,
    rights: usable && attributes & 0x10 ? rightsOf(attributes) : [],
  };
}

function kindOf(attributes: number, name: SegmentName): string {
  const size = attributes & 0x2000 ? 64 : attributes & 0x4000 ? 32 : 16;
  if (attributes & 0x10) return attributes & 8 ? `${size}-bit code` : `${size}-bit ${name === "ss" ? "stack" : "data"}`;
  const type = attributes & 15;
  if (type === 2) return "LDT";
  if ((type & 5) === 1) return `${type & 2 ? "busy" : "available"} ${type & 8 ? "32/64" : "16"}-bit TSS`;
  return `system type ${type}`;
}

function rightsOf(attributes: number): string[] {
  const code = (attributes & 8) !== 0;
  const rights: [boolean, string][] = [
    [!code || (attributes & 2) !== 0, "readable"],
    [!code && (attributes & 2) !== 0, "writable"],
    [code, "executable"],
    [code && (attributes & 4) !== 0, "conforming"],
    [!code && (attributes & 4) !== 0, "expand-down"],
    [(attributes & 1) !== 0, "accessed"],
  ];
  return rights.filter(([set]) => set).map(([, right]) => right);
}
