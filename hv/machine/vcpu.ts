// The vCPU as handlers use it: general registers in the state region, RSP and all else by guest.read and guest.write.

import { Register } from "../../protocol/state";
import * as guest from "./guest";
import { Layout, VcpuRecord } from "./layout";

/** Bits of a segment's attributes (protocol/state.ts). */
export enum Attribute {
  Writable = 2,
  ExpandDown = 4,
  Code = 8,
  Long = 0x2000,
  Default32 = 0x4000,
  Unusable = 0x10000,
}

export const CR0_PE: u64 = 1;
export const CR0_WP: u64 = 0x10000;
export const CR0_PG: u64 = 0x80000000;
export const CR4_DE: u64 = 8;
export const CR4_PSE: u64 = 0x10;
export const CR4_PAE: u64 = 0x20;
export const CR4_OSXSAVE: u64 = 0x40000;
export const CR4_SMEP: u64 = 0x100000;
export const CR4_SMAP: u64 = 0x200000;
export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;
export const EFER_NXE: u64 = 0x800;

// @ts-ignore: decorator
@inline
export function gpr(index: u32): u64 {
  return load<u64>(Layout.Region + VcpuRecord.Gpr + (index << 3));
}
// @ts-ignore: decorator
@inline
export function setGpr(index: u32, value: u64): void {
  store<u64>(Layout.Region + VcpuRecord.Gpr + (index << 3), value);
}

/** Any general register, RSP too, which has its place in the VMCS or VMCB. */
export function anyGpr(index: u32): u64 {
  return index == Register.Rsp ? guest.read(Register.Rsp) : gpr(index);
}
export function setAnyGpr(index: u32, value: u64): void {
  if (index == Register.Rsp) guest.write(Register.Rsp, value);
  else setGpr(index, value);
}

export function setRip(value: u64): void {
  store<u64>(Layout.Region + VcpuRecord.Rip, value);
}

/** Bytes of the current code segment's default size: 8 in 64-bit mode, 4, 2. */
export function codeBytes(): u32 {
  const attributes = guest.read(Register.CsAttributes);
  if (attributes & Attribute.Long && guest.read(Register.Efer) & EFER_LMA) return 8;
  // In real and virtual-8086 mode D is 0 but for "unreal" code segments, which the CPU honours too.
  return attributes & Attribute.Default32 ? 4 : 2;
}

/** The current privilege level: SS.DPL has it in every mode (SDM vol. 3, 25.4.1; APM vol. 2, 15.5.1). */
export function cpl(): u32 {
  return (<u32>guest.read(Register.SsAttributes) >> 5) & 3;
}

export function canonical(address: u64): bool {
  return <u64>(((<i64>address) << 16) >> 16) == address;
}
