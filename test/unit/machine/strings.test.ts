// INS and OUTS: widths, directions, address sizes, segments, REP, faults in the middle, pages; and plain IN and OUT. Port E9h writes to
// the console and reads E9h; port 20h reads the interrupt controller's IRR.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Verdict } from "../../../hv/machine/layout.js";
import { EndReason, Vendor } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import { Guest, type PortAccess, VENDORS } from "./guest.js";

const DF = 0x400n;
const CONSOLE = 0xe9;

interface StringOptions {
  input?: boolean;
  size?: 1 | 2 | 4;
  repeat?: boolean;
  addressBytes?: 2 | 4 | 8;
  segment?: number;
  /** prefixes, for SVM's decoder */
  prefixes?: number[];
}

function string(guest: Guest, { input = false, size = 1, repeat = true, addressBytes = 8, segment, prefixes = [] }: StringOptions): number {
  const opcode = (input ? 0x6c : 0x6e) + (size === 1 ? 0 : 1);
  const bytes = [...(repeat ? [0xf3] : []), ...prefixes, opcode];
  const access: PortAccess = { port: CONSOLE, size, input, string: { repeat, addressBytes, segment: segment ?? (input ? 0 : 3) }, bytes };
  return guest.io(access);
}

describe.each(VENDORS)("IN and OUT on %s", (_name, vendor) => {
  test("IN keeps what it does not load, but a doubleword clears the upper half", () => {
    const guest = new Guest({ vendor });
    const rax = 0x1122_3344_5566_7788n;
    guest.set(Register.Rax, rax);
    expect(guest.in(0x1234, 1)).toBe(0x1122_3344_5566_77ffn);
    guest.set(Register.Rax, rax);
    expect(guest.in(0x1234, 2)).toBe(0x1122_3344_5566_ffffn);
    guest.set(Register.Rax, rax);
    expect(guest.in(0x1234, 4)).toBe(0xffff_ffffn);
  });

  test("OUT goes on behind the instruction", () => {
    const guest = new Guest({ vendor });
    expect(guest.out(CONSOLE, 0x141)).toBe(Verdict.Resume);
    expect(guest.output).toBe("A");
    expect(guest.get(Register.Rip)).toBe(0x100001n);
  });
});

describe.each(VENDORS)("string I/O on %s", (_name, vendor) => {
  test("REP OUTSB, up and down", () => {
    const guest = new Guest({ vendor });
    guest.ram.write("hello", 0x200000);
    guest.set(Register.Rsi, 0x200000);
    guest.set(Register.Rcx, 5);
    expect(string(guest, {})).toBe(Verdict.Resume);
    expect(guest.output).toBe("hello");
    expect([guest.get(Register.Rsi), guest.get(Register.Rcx), guest.get(Register.Rip)]).toEqual([0x200005n, 0n, 0x100002n]);
    guest.set(Register.Rflags, 0x202n | DF);
    guest.set(Register.Rsi, 0x200004);
    guest.set(Register.Rcx, 5);
    guest.set(Register.Rip, 0x100000);
    string(guest, {});
    expect(guest.output).toBe("helloolleh");
    expect(guest.get(Register.Rsi)).toBe(0x1fffffn);
  });

  test.each([1, 2, 4] as const)("INS of %i bytes, once", (size) => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rdi, 0x200000);
    guest.set(Register.Rcx, 7);
    string(guest, { input: true, size, repeat: false, prefixes: size === 2 ? [0x66] : [] });
    expect(guest.ram.readUInt32LE(0x200000)).toBe({ 1: 0xe9, 2: 0xffe9, 4: 0xffffffe9 }[size]);
    expect([guest.get(Register.Rdi), guest.get(Register.Rcx)]).toEqual([0x200000n + BigInt(size), 7n]);
  });

  test("a count of 0 does nothing", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rsi, 0xdead_0000_0000_0000n);
    string(guest, {});
    expect([guest.output, guest.get(Register.Rip)]).toEqual(["", 0x100002n]);
  });

  test("a long one goes in batches, at the instruction in between", () => {
    const guest = new Guest({ vendor });
    guest.ram.fill("x", 0x200000, 0x200000 + 2500);
    guest.set(Register.Rsi, 0x200000);
    guest.set(Register.Rcx, 2500);
    let exits = 0;
    while (guest.get(Register.Rip) === 0x100000n) {
      string(guest, {});
      exits++;
    }
    expect([exits, guest.output.length, guest.get(Register.Rsi)]).toEqual([3, 2500, 0x2009c4n]);
  });

  test("with TF one iteration, then the trap at the instruction", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rflags, 0x302n);
    guest.set(Register.Rsi, 0x200000);
    guest.set(Register.Rcx, 2);
    string(guest, {});
    expect([guest.output.length, guest.get(Register.Rcx), guest.get(Register.Rip)]).toEqual([1, 1n, 0x100000n]);
    if (vendor === Vendor.Vmx) expect(guest.get(Register.PendingDebug)).toBe(0x4000n);
    else expect(guest.injected?.vector).toBe(1);
  });

  test("32-bit addresses in 64-bit mode wrap, and clear the upper halves", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rsi, 0xffff_ffff_0020_0000n);
    guest.set(Register.Rcx, 0xffff_ffff_0000_0002n);
    guest.ram.write("ok", 0x200000);
    string(guest, { addressBytes: 4, prefixes: [0x67] });
    expect([guest.output, guest.get(Register.Rsi), guest.get(Register.Rcx)]).toEqual(["ok", 0x200002n, 0n]);
  });

  test("64-bit mode: FS and GS have bases, the others none", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.FsBase, 0x200000);
    guest.set(Register.DsBase, 0x300000);
    guest.set(Register.EsBase, 0x300000);
    guest.ram.write("F", 0x200010);
    guest.ram.write("D", 0x10);
    guest.set(Register.Rsi, 0x10);
    string(guest, { repeat: false, segment: 4, prefixes: [0x64] });
    guest.set(Register.Rip, 0x100000);
    guest.set(Register.Rsi, 0x10);
    string(guest, { repeat: false });
    expect(guest.output).toBe("FD");
  });

  test("64-bit mode: an address that is not canonical is #GP, of SS #SS", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rsi, 0x0000_8000_0000_0000n);
    string(guest, { repeat: false });
    expect(guest.injected).toEqual({ vector: 13, type: 3, error: 0 });
    expect(guest.get(Register.Rip)).toBe(0x100000n);
  });

  test("real mode: DS * 16 + SI, and SI wraps within the segment", () => {
    const guest = new Guest({ vendor });
    guest.real();
    guest.set(Register.DsBase, 0x20000);
    guest.ram[0x2ffff] = 0x61;
    guest.ram[0x20000] = 0x62;
    guest.set(Register.Rsi, 0xabcd_ffffn);
    guest.set(Register.Rcx, 0x1234_0002n);
    string(guest, { addressBytes: 2 });
    expect([guest.output, guest.get(Register.Rsi), guest.get(Register.Rcx)]).toEqual(["ab", 0xabcd_0001n, 0x1234_0000n]);
  });

  test("real mode: an element beyond the limit is #GP; of SS, #SS", () => {
    const guest = new Guest({ vendor });
    guest.real();
    guest.set(Register.Rsi, 0xffff);
    string(guest, { size: 2, addressBytes: 2, repeat: false });
    expect(guest.injected?.vector).toBe(13);
    string(guest, { size: 2, addressBytes: 2, repeat: false, segment: 2, prefixes: [0x36] });
    expect(guest.injected?.vector).toBe(12);
  });

  test("real mode with 32-bit addresses", () => {
    const guest = new Guest({ vendor });
    guest.real();
    guest.set(Register.Rsi, 0x1_0000);
    string(guest, { addressBytes: 4, repeat: false, prefixes: [0x67] });
    expect(guest.injected?.vector).toBe(13);
  });

  test.each([
    ["a null selector", 0x10000, 0xffffffff, 0, false],
    ["INS into read-only data", 0xc091, 0xffffffff, 0, true],
    ["INS into code", 0xc09b, 0xffffffff, 0, true],
    ["OUTS from execute-only code", 0xc099, 0xffffffff, 0, false],
    ["the limit", 0x4093, 0x1fffff, 0x200000, false],
    ["expand-down, below", 0xc097, 0x1fffff, 0x1fffff, false],
  ])("protected mode: %s is #GP", (_what, attributes, limit, offset, input) => {
    const guest = new Guest({ vendor });
    guest.protected();
    guest.segment(input ? Register.EsSelector : Register.DsSelector, 0x18, 0, limit, attributes);
    guest.set(input ? Register.Rdi : Register.Rsi, offset);
    string(guest, { input, addressBytes: 4, repeat: false });
    expect(guest.injected).toEqual({ vector: 13, type: 3, error: 0 });
  });

  test.each([
    ["readable code", 0xc09b, 0xffffffff],
    ["read-only data", 0xc091, 0xffffffff],
    ["expand-down, above the limit", 0xc097, 0x1fffff],
  ])("protected mode: OUTS from %s", (_what, attributes, limit) => {
    const guest = new Guest({ vendor });
    guest.protected();
    guest.segment(Register.DsSelector, 0x18, 0, limit, attributes);
    guest.ram.write("y", 0x200000);
    guest.set(Register.Rsi, 0x200000);
    string(guest, { addressBytes: 4, repeat: false });
    expect(guest.output).toBe("y");
  });

  test("a page fault in the middle: CR2, error code, and the registers as far as it got", () => {
    const guest = new Guest({ vendor });
    guest.ram.writeBigUInt64LE(0n, 0x3008);
    guest.ram.write("ab", 0x1ffffe);
    guest.set(Register.Rsi, 0x1ffffe);
    guest.set(Register.Rcx, 4);
    expect(string(guest, {})).toBe(Verdict.Resume);
    expect(guest.injected).toEqual({ vector: 14, type: 3, error: 0 });
    expect(guest.get(Register.Cr2)).toBe(0x200000n);
    expect([guest.output, guest.get(Register.Rsi), guest.get(Register.Rcx), guest.get(Register.Rip)]).toEqual([
      "ab",
      0x200000n,
      2n,
      0x100000n,
    ]);
    // The handler maps the page; the instruction goes on.
    guest.ram.writeBigUInt64LE(0x2000e3n, 0x3008);
    guest.ram.write("cd", 0x200000);
    string(guest, {});
    expect([guest.output, guest.get(Register.Rip)]).toEqual(["abcd", 0x100002n]);
  });

  test("INS into a read-only page faults before the port is read, and marks no page dirty", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Cr0, 0x80010011n);
    guest.ram.writeBigUInt64LE(0x2000a1n, 0x3008);
    guest.set(Register.Rdi, 0x200000);
    string(guest, { input: true, repeat: false });
    expect(guest.injected).toEqual({ vector: 14, type: 3, error: 3 });
    expect(guest.ram.readBigUInt64LE(0x3008)).toBe(0x2000a1n);
  });

  test("an element on two pages", () => {
    const guest = new Guest({ vendor });
    // 1FF000h..1FFFFFh stays; 200000h is mapped to 0.
    guest.ram.writeBigUInt64LE(0xe3n, 0x3008);
    guest.ram.set([0x41, 0x42], 0x1ffffe);
    guest.ram.set([0x43, 0x44], 0);
    guest.set(Register.Rdi, 0x1ffffe);
    string(guest, { input: true, size: 4, repeat: false });
    expect([...guest.ram.subarray(0x1ffffe, 0x200000), ...guest.ram.subarray(0, 2)]).toEqual([0xe9, 0xff, 0xff, 0xff]);
  });

  test("memory that is not there ends the guest", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rsi, 0x600000);
    expect(string(guest, {})).toBe(Verdict.Resume);
    guest.set(Register.Rip, 0x100000);
    guest.set(Register.Rcx, 1);
    expect(string(guest, {})).toBe(Verdict.Stop);
    expect(guest.ended).toEqual({ reason: EndReason.UnbackedMemory, value: 0x600000n });
  });

  test("a device that ends the guest ends the string", () => {
    const guest = new Guest({ vendor });
    guest.set(Register.Rsi, 0x200000);
    guest.set(Register.Rcx, 9);
    expect(
      guest.io({ port: 0xf4, size: 1, input: false, string: { repeat: true, addressBytes: 8, segment: 3 }, bytes: [0xf3, 0x6e] }),
    ).toBe(Verdict.Stop);
    expect(guest.get(Register.Rcx)).toBe(8n);
  });

  const shared = new Guest({ vendor, ramBytes: 2 << 20 });
  property.prop([fc.integer({ min: 0x10000, max: 0x1ff000 }), fc.integer({ min: 0, max: 60 }), fc.constantFrom(1, 2, 4), fc.boolean()], {
    numRuns: 60,
  })("OUTS sends what lies in memory", (address, count, size, down) => {
    shared.output = "";
    for (let index = 0; index < count; index++) shared.ram[address + ((index * size) % 0xf0)] = 0x41 + (index % 26);
    const start = down ? address + 200 : address;
    shared.set(Register.Rflags, down ? 0x602 : 0x202);
    shared.set(Register.Rip, 0x1fff80);
    shared.set(Register.Rsi, start);
    shared.set(Register.Rcx, count);
    const bytes = Buffer.from(shared.ram);
    string(shared, { size: size, prefixes: size === 2 ? [0x66] : [] });
    // Port E9h takes the first byte of an access; the ports above it take the others.
    const expected = Array.from({ length: count }, (_, index) => bytes[start + (down ? -index : index) * size] ?? 0);
    expect([...Buffer.from(shared.output, "latin1")]).toEqual(expected);
    expect(shared.get(Register.Rsi)).toBe(BigInt(start + (down ? -1 : 1) * count * size));
  });
});
