// What the commands that look inside print for people, character by character.
import { describe, expect, it } from "vitest";
import { cpuJson, showCpu } from "../../../control/src/cli/commands/cpu.js";
import { showCode } from "../../../control/src/cli/commands/disasm.js";
import { machineJson, showMachine } from "../../../control/src/cli/commands/machine.js";
import { showWalk, walkJson } from "../../../control/src/cli/commands/walk.js";
import { bitNames } from "../../../control/src/inspect/bits.js";
import { disassemble } from "../../../control/src/inspect/disasm.js";
import { nestedPath } from "../../../control/src/inspect/nested.js";
import { walkPages } from "../../../control/src/inspect/walk.js";
import { machineOn, machineStateOf } from "../inspect/devices/board.js";
import { ramOf } from "../inspect/ram.js";
import { Board, SECOND } from "../machine/devices/board.js";

const registers = {
  rax: 0x1234n,
  rip: 0xffff_ffff_8100_0000n,
  rsp: 0xffff_ffff_8200_3f00n,
  rflags: 0x3246n,
  cr0: 0x8005_0033n,
  cr3: 0x1000n,
  cr4: 0x6b0n,
  efer: 0xd01n,
  xcr0: 7n,
  dr6: 0xffff_0ff0n,
  dr7: 0x400n,
  "cs.selector": 0x10n,
  "cs.limit": 0xffff_ffffn,
  "cs.attributes": 0xa09bn,
  "ss.selector": 0x18n,
  "ss.attributes": 0xc093n,
  "tr.selector": 0x40n,
  "tr.attributes": 0x8bn,
  "ds.attributes": 0x1_0000n,
  "fs.attributes": 0x40f7n,
  interruptShadow: 1n,
  tsc: 12_345n,
};

describe("cpu", () => {
  it("names mode, bits and segments", () => {
    expect(showCpu({ guest: "web", state: "running", idle: true, registers })).toMatchInlineSnapshot(`
      "64-bit mode, CPL 0, 4-level paging (running, halted)
      RAX=0000000000001234 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000
      RSI=0000000000000000 RDI=0000000000000000 RBP=0000000000000000 RSP=ffffffff82003f00
      R8 =0000000000000000 R9 =0000000000000000 R10=0000000000000000 R11=0000000000000000
      R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 R15=0000000000000000
      RIP=ffffffff81000000  interrupts blocked for one instruction
      RFLAGS=00003246 [PF ZF IF IOPL=3]
      CR0   =0000000080050033 [PE MP ET NE WP AM PG]
      CR4   =00000000000006b0 [PSE PAE PGE OSFXSR OSXMMEXCPT]
      EFER  =0000000000000d01 [SCE LME LMA NXE]
      XCR0  =0000000000000007 [x87 SSE AVX]
      DR6   =00000000ffff0ff0 []
      DR7   =0000000000000400 []
      ES  =0000 base 0000000000000000 limit 00000000  unusable
      CS  =0010 base 0000000000000000 limit ffffffff  64-bit code, DPL 0, readable, executable, accessed
      SS  =0018 base 0000000000000000 limit 00000000  32-bit stack, DPL 0, readable, writable, accessed
      DS  =0000 base 0000000000000000 limit 00000000  unusable
      FS  =0000 base 0000000000000000 limit 00000000  32-bit data, DPL 3, readable, writable, expand-down, accessed
      GS  =0000 base 0000000000000000 limit 00000000  unusable
      LDTR=0000 base 0000000000000000 limit 00000000  unusable
      TR  =0040 base 0000000000000000 limit 00000000  busy 32/64-bit TSS, DPL 0
      GDTR=     base 0000000000000000 limit 00000000
      IDTR=     base 0000000000000000 limit 00000000
      CR2=0000000000000000 CR3=0000000000001000 CR8=0000000000000000 DR0=0000000000000000
      DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 STAR=0000000000000000
      LSTAR=0000000000000000 CSTAR=0000000000000000 SFMASK=0000000000000000 KGSB=0000000000000000
      SYSENTER CS=0000 EIP=0000000000000000 ESP=0000000000000000
      PAT=0000000000000000 TSC=12345"
    `);
  });

  it("has the same in JSON", () => {
    expect(cpuJson({ guest: "web", state: "paused", idle: false, registers })).toMatchObject({
      mode: "64-bit mode",
      paging: "4-level paging",
      bits: { cr0: ["PE", "MP", "ET", "NE", "WP", "AM", "PG"], rflags: ["PF", "ZF", "IF", "IOPL=3"] },
      registers: { rip: "0xffffffff81000000" },
    });
  });

  it.each([
    [{ cr0: 0n }, "real mode"],
    [{ efer: 0n, rflags: 0x20002n }, "virtual-8086 mode"],
    [{ efer: 0n, "cs.attributes": 0xc09bn }, "protected mode, 32-bit code"],
    [{ efer: 0n, "cs.attributes": 0x9bn }, "protected mode, 16-bit code"],
    [{ "cs.attributes": 0xc09bn }, "compatibility mode, 32-bit code"],
  ] as const)("knows the modes: %o", (change, mode) => {
    expect(cpuJson({ guest: "web", state: "running", idle: false, registers: { ...registers, ...change } }).mode).toBe(mode);
  });

  it("names a bit that has no name by its number", () => {
    expect(bitNames("cr4", 1n << 40n)).toEqual(["bit 40"]);
    expect(bitNames("rflags", 0x1002n)).toEqual(["IOPL=1"]);
    expect(bitNames("rflags", 0x2002n)).toEqual(["IOPL=2"]);
  });
});

describe("walk", () => {
  const ram = ramOf([
    [0x1ff8, 0x2067n],
    [0x2ff0, 0x3063n],
    [0x3040, 0x1_01e1n],
  ]);
  const paging = { cr0: registers.cr0, cr3: 0x1000n, cr4: registers.cr4, efer: registers.efer };

  it("shows the guest's levels, then the nested ones", async () => {
    const walk = await walkPages(ram, paging, 0xffff_ffff_8100_0123n);
    expect(walk.fault).toEqual({ kind: "reserved-bits", level: "PD", address: 0x3040 });
    const large = ramOf([
      [0x1ff8, 0x2067n],
      [0x2ff0, 0x3063n],
      [0x3040, 0x1e1n],
    ]);
    const found = await walkPages(large, paging, 0xffff_ffff_8100_0123n);
    const nested = [nestedPath(0x123, 0x50_0000n, [0x50_1007n, 0x50_2007n, 0x80_00e7n])];
    expect(showWalk({ walk: found, tables: "EPT", nested })).toMatchInlineSnapshot(`
      "linear ffffffff81000123: 4-level paging
      LEVEL   ENTRY AT    VALUE              FLAGS
      PML4    000001ff8   0000000000002067   present writable user accessed
      PDPT    000002ff0   0000000000003063   present writable accessed
      PD      000003040   00000000000001e1   present accessed dirty large global
      guest-physical 000000123, in a page of 2 MiB, supervisor only, read-only, executable

      guest-physical 000000123: EPT
      LEVEL   ENTRY AT    VALUE              FLAGS
      PML4    000500000   0000000000501007   read write execute
      PDPT    000501000   0000000000502007   read write execute
      PD      000502000   00000000008000e7   read write execute accessed dirty large
      host-physical 000800123, in a page of 2 MiB"
    `);
    expect(walkJson({ walk: found, tables: "EPT", nested })).toMatchObject({
      mode: "4-level",
      physical: "0x123",
      pageBytes: 2 ** 21,
      rights: { writable: false, user: false, executable: true },
      fault: null,
      nested: [{ address: "0x123", physical: "0x800123" }],
    });
  });

  it("says where it ends", async () => {
    const walk = await walkPages(ram, paging, 0x5000n);
    expect(showWalk({ walk, tables: null, nested: [] })).toMatchInlineSnapshot(`
      "linear 0000000000005000: 4-level paging
      LEVEL   ENTRY AT    VALUE              FLAGS
      PML4    000001000   0000000000000000   none
      not mapped: the PML4 entry at guest-physical 0x1000 is not present"
    `);
    const narrow = await walkPages(ram, { ...paging, cr4: 0n, efer: 0n }, 1n << 40n);
    expect(showWalk({ walk: narrow, tables: null, nested: [] })).toContain("not mapped: it lies beyond 4 GiB");
  });
});

describe("machine", () => {
  it("shows each device in words", () => {
    const board = new Board({ wallSeconds: 1_700_000_000 });
    board.initPics(0x0010);
    board.out(0x43, 0x34);
    board.out(0x40, 0x9b);
    board.out(0x40, 0x2e);
    board.out(0x3fa, 0x07);
    board.out(0x3f9, 1);
    board.out(0x3fc, 0x0b);
    board.type(0, ...Buffer.from('a"\x1b[\xff', "latin1"));
    board.run(SECOND / 4n);
    const machine = machineOn(board, { halted: true, events: 8, inputBytes: [3, 0] });
    expect(showMachine(machine)).toMatchInlineSnapshot(`
      "guest time:  0.250000 s
      CPU:         waits in HLT; not told yet: NMI
      PIC master:  vectors from 30h, INT up, reads give IRR
                   requested (IRR): IRQ0 (timer), IRQ4 (COM1)
                   in service (ISR): none
                   not masked (IMR): IRQ4 (COM1)
      PIC slave:   vectors from 38h, INT down, reads give IRR
                   requested (IRR): none
                   in service (ISR): none
                   not masked (IMR): none
      requests:    IRQ0 (timer) is masked in the master PIC's IMR (bit 0 of port 21h)
                   IRQ4 (COM1) is the CPU's to take
      PIT 0:       mode 2, rate generator: counts from 11931, is at 11912, 100.007 Hz, OUT high
      PIT 1:       mode 2, rate generator: no count was written
      PIT 2:       mode 3, square wave: no count was written
      COM1:        115200 baud 8N1, FIFOs on
                   to be read: 5 bytes "a\\x22\\x1b[\\xff", 3 more bytes of input wait
                   interrupts for received data (IER), gate open, cause now: received data
      COM2:        115200 baud 8N1, FIFOs off
                   nothing to be read
                   interrupts for nothing (IER), gate closed (MCR.OUT2 is 0), cause now: none
      RTC:         2023-11-14T22:13:20, alarm 00:00:00, periodic rate 1024 Hz
                   interrupts for nothing, IRQ8 down
      keyboard:    nothing to be read, interrupt off, A20 on
      port 61h:    speaker gate off, data off
      port 80h:    00h
      KVM clock:   off
      timers:      pit in 0.009982 s"
    `);
    const state = machineStateOf(board);
    expect(JSON.parse(JSON.stringify(machineJson(machine, state.records)))).toMatchObject({
      clockNs: "250000000",
      requests: [
        { irq: 0, kind: "masked" },
        { irq: 4, kind: "taken" },
      ],
      uarts: [{ received: "61221b5bff", waiting: 3 }, {}],
      timers: [{ source: "pit" }],
      records: { picMaster: { imr: "239" }, rtc: { cells: expect.any(Array) } },
    });
  });
});

it("disasm marks the next instruction", () => {
  const code = { instructions: disassemble(64, 0x7c00n, Buffer.from("f4ebfd", "hex"), 2) };
  expect(showCode(code, 0x7c01n)).toBe(
    ["   00007c00  f4                hlt", "=> 00007c01  ebfd              jmp short 0x0000000000007c00"].join("\n"),
  );
});
