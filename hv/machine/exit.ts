// The neutral exit record: what vmx.ts and svm.ts make of a raw exit, and what the handlers see of it. It lives from one exit to
// the next entry. Also the places of the tables and caches that lie above the state region: init() or use rebuilds them.

import { ExitRecord, Layout, VcpuRecord } from "./layout";

/** Addresses in linear memory, from Layout.RegionEnd upward. */
export enum Table {
  /** four addresses, then four values: the paging entries of the last walk (paging.ts) */
  Walk = 0x4a00,
  /** what a loader is going to load (boot/segments.ts) */
  Segments = 0x4b00,
}

/** What a handler did, for the loop. */
export enum Outcome {
  /** the instruction is done: RIP goes to the next one */
  Next,
  /** a window opened: no instruction was executed */
  Window,
  /** string I/O has more to do: RIP stays, but an iteration boundary was passed */
  Partial,
  /** an exception is set to be injected, or a trap is pending: no room for another event */
  Injected,
  /** HLT, RIP already behind it */
  Halt,
  /** guest.end was called */
  Stop,
  /** the debugger is to have the guest (debug.ts) */
  Break,
}

export enum Flag {
  TF = 0x100,
  IF = 0x200,
  DF = 0x400,
  RF = 0x10000,
  VM = 0x20000,
  AC = 0x40000,
}

export enum Vector {
  DB = 1,
  UD = 6,
  DF = 8,
  TS = 10,
  NP = 11,
  SS = 12,
  GP = 13,
  PF = 14,
}

/** IN, OUT, INS, OUTS */
export abstract class Io {
  static port: u32 = 0;
  /** 1, 2, 4 */
  static size: u32 = 0;
  static input: bool = false;
  static repeat: bool = false;
  /** bytes of the address register: 2, 4, 8 */
  static addressBytes: u32 = 0;
  /** ES CS SS DS FS GS: 0..5 */
  static segment: u32 = 0;
}

/** MOV CR, CLTS, LMSW */
export enum CrKind {
  Write,
  Read,
  Clts,
  Lmsw,
}

export abstract class Cr {
  static kind: CrKind = CrKind.Write;
  static number: u32 = 0;
  /** the general register */
  static register: u32 = 0;
  /** LMSW's operand */
  static word: u32 = 0;
}

/** An exception that was intercepted. */
export abstract class Fault {
  static vector: u32 = 0;
  static hasError: bool = false;
  static error: u32 = 0;
  /** #PF: its address. #DB: bits to set in DR6 */
  static address: u64 = 0;
  /** INT1 raised it: RIP is at the instruction, DR6 says nothing */
  static software: bool = false;
}

// @ts-ignore: decorator
@inline
export function rawReason(): u32 {
  return load<u32>(Layout.Exit + ExitRecord.Reason);
}
// @ts-ignore: decorator
@inline
export function exitFlags(): u32 {
  return <u32>load<u64>(Layout.Exit + ExitRecord.Rflags);
}
// @ts-ignore: decorator
@inline
export function exitShadow(): u32 {
  return load<u32>(Layout.Exit + ExitRecord.Shadow);
}
// @ts-ignore: decorator
@inline
export function exitLength(): u32 {
  return load<u32>(Layout.Exit + ExitRecord.Length);
}
export function setExitLength(bytes: u32): void {
  store<u32>(Layout.Exit + ExitRecord.Length, bytes);
}
// @ts-ignore: decorator
@inline
export function rip(): u64 {
  return load<u64>(Layout.Region + VcpuRecord.Rip);
}
