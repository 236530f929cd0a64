// Recorded exits made neutral, held against what the machine itself makes of the same exits, for both vendors.
import { describe, expect, test } from "vitest";
import type { RawExit } from "../../../control/src/hypervisor/traced.js";
import { neutralExit, neutralReason } from "../../../control/src/trace/exit.js";
import { describeExit, showExit } from "../../../control/src/trace/text.js";
import { ReasonTable, Verdict } from "../../../hv/machine/layout.js";
import { Vendor } from "../../../protocol/messages.js";
import { ExitReason } from "../../../protocol/state.js";
import { Guest } from "../machine/guest.js";

const VENDORS = [
  ["VMX", Vendor.Vmx],
  ["SVM", Vendor.Svm],
] as const;

const tableOf = (guest: Guest): Uint8Array => new Uint8Array(guest.machine.memory.buffer, ReasonTable.At, ReasonTable.Bytes).slice();
const raw = (exit: Partial<RawExit>): RawExit => ({
  index: 7,
  reason: 0,
  verdict: Verdict.Resume,
  tsc: 3_000_000n,
  rip: 0x1001b4n,
  qualification: 0n,
  rax: 0n,
  rcx: 0n,
  result: 0n,
  ...exit,
});

describe.each(VENDORS)("%s", (_name, vendor) => {
  const reasons = tableOf(new Guest({ vendor }));
  const text = (exit: Partial<RawExit>): string =>
    describeExit(neutralExit(raw(exit), { vendor, reasons, firstEntryTsc: 1_000_000n, tscKhz: 2_000_000 }));
  const [io, cpuid, msr, cr] = vendor === Vendor.Vmx ? [30, 10, 32, 28] : [0x7b, 0x72, 0x7c, 0x14];

  test("every raw reason is counted as the trace names it", () => {
    const beyond = vendor === Vendor.Vmx ? [0x8000_0021, 0x8000_0022] : [0x400, 0x401, 0x403, 0xffff_ffff];
    const codes = [...Array(256).keys(), ...beyond];
    const guest = new Guest({ vendor });
    for (const reason of codes) {
      for (const qualification of [0n, 1n, 4n, 8n, 16n, 0x3f8_0010n, 0x3f8_0019n]) {
        guest.counts.clear();
        // VMX's exceptions have their vector in the trace's reason.
        const traced = vendor === Vendor.Vmx && reason === 0 ? 0x306 : reason;
        guest.raw(reason, { length: 2, qualification });
        expect([reason, qualification, neutralReason(raw({ reason: traced, qualification }), { vendor, reasons })]).toEqual([
          reason,
          qualification,
          [...guest.counts.keys()][0],
        ]);
      }
    }
  });

  test("ports, their widths and values", () => {
    const out = vendor === Vendor.Vmx ? 0x3f8_0000n : 0x3f8_0010n;
    const input = vendor === Vendor.Vmx ? 0x1f0_000bn : 0x1f0_0041n;
    const string = vendor === Vendor.Vmx ? 0x1f0_0039n : 0x1f0_002dn;
    expect(text({ reason: io, qualification: out, rax: 0x12344cn })).toBe("OUT 3F8h 4Ch 'L'");
    expect(text({ reason: io, qualification: out, rax: 0xdn })).toBe("OUT 3F8h 0Dh");
    expect(text({ reason: io, qualification: input, rax: 1n, result: 0xffff_ffff_1234_5678n })).toBe("IN 1F0h: 12345678h");
    expect(text({ reason: io, qualification: string, rcx: 256n })).toBe("REP INSW 1F0h, 256 to do");
  });

  test("CPUID, MSRs, control registers, exceptions, ends", () => {
    expect(text({ reason: cpuid, rax: 0x8000_0000n, rcx: 0n, result: 0x8000_0008n })).toBe("CPUID 80000000h: EAX=80000008h");
    expect(text({ reason: cpuid, rax: 0xdn, rcx: 1n, result: 15n })).toBe("CPUID Dh, subleaf 1h: EAX=0000000Fh");
    expect(text({ reason: msr, qualification: 1n, rcx: 0xffff_ffff_c000_0080n, rax: 0x500n })).toBe("WRMSR IA32_EFER, EAX=00000500h");
    expect(text({ reason: vendor === Vendor.Vmx ? 31 : msr, rcx: 0x123n, result: 9n })).toBe("RDMSR 123h, then EAX=00000009h");
    expect(text({ reason: cr, qualification: 4n })).toBe("MOV to CR4");
    expect(text({ reason: vendor === Vendor.Vmx ? cr : 3, qualification: 0x13n })).toBe("MOV from CR3");
    const [toDr7, fromDr6] = vendor === Vendor.Vmx ? [29, 29] : [0x37, 0x26];
    expect(text({ reason: toDr7, qualification: 7n })).toBe("MOV to DR7");
    expect(text({ reason: fromDr6, qualification: 0x316n })).toBe("MOV from DR6");
    expect(text({ reason: vendor === Vendor.Vmx ? 0x306 : 0x46 })).toBe("#UD");
    expect(text({ reason: vendor === Vendor.Vmx ? 0x311 : 0x51 })).toBe("#AC");
    expect(text({ reason: vendor === Vendor.Vmx ? 2 : 0x7f, verdict: Verdict.Stop })).toBe("triple fault, and the guest ends");
    expect(text({ reason: vendor === Vendor.Vmx ? 12 : 0x78, verdict: Verdict.Halt })).toBe("HLT");
    const [violation, write, fetch] = vendor === Vendor.Vmx ? [48, 2n, 4n] : [0x400, 0x1_0000_0006n, 0x1_0000_0014n];
    const ended = { reason: violation, verdict: Verdict.Stop };
    expect(text({ ...ended, qualification: write })).toBe("write to memory that the machine does not have, and the guest ends");
    expect(text({ ...ended, qualification: fetch })).toMatch(/^fetch from memory/);
    expect(text({ ...ended, qualification: 1n })).toMatch(/^read of memory/);
    expect(text({ reason: 200, qualification: 5n })).toBe("unknown (raw C8h, 5h)");
  });

  test("a line has the number, the time since the first entry, the address", () => {
    const exit = neutralExit(raw({ reason: cpuid }), { vendor, reasons, firstEntryTsc: 1_000_000n, tscKhz: 2_000_000 });
    expect(exit.timeNs).toBe("1000000");
    expect(showExit(exit)).toBe("     7     0.001000            1001B4  CPUID 0h: EAX=00000000h");
    expect(neutralExit(raw({ verdict: 77 }), { vendor, reasons, firstEntryTsc: 9_000_000n, tscKhz: 1 })).toMatchObject({
      timeNs: "0",
      verdict: "trap",
    });
  });
});

test("every exit reason that a machine knows has its words", () => {
  const reasons = new Uint8Array(256).map((_, index) => index);
  const unknown = [ExitReason.HostInterrupt, ExitReason.Init, ExitReason.Unknown];
  for (let reason = 1; reason < ExitReason.Count; reason++) {
    const exit = neutralExit(raw({ reason }), { vendor: Vendor.Vmx, reasons, firstEntryTsc: 0n, tscKhz: 1000 });
    expect([ExitReason[reason], / \(raw /.test(describeExit(exit))]).toEqual([ExitReason[reason], unknown.includes(reason)]);
  }
});
