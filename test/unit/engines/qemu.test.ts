import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../../control/src/engines/engine.js";
import { pcMemoryRuns, type QemuHost, qemuArguments } from "../../../control/src/engines/qemu.js";

const options: EngineOptions = {
  memoryBytes: 256 * 2 ** 20,
  accel: "auto",
  runDir: "/run/x",
  kernelPath: "/b/hv.elf32",
  imagePath: "/b/a,b/hv.img",
};

const host: QemuHost = { platform: "linux", qboot: "/usr/share/qemu/qboot.rom" };

/** The values of an option that is given once or more. */
const valuesOf = (args: string[], name: string): string[] => args.filter((_, index) => args[index - 1] === name);

describe("QEMU's arguments", () => {
  it("are these", () => {
    expect(qemuArguments(options, "tcg", host).join(" ")).toBe(
      "-nodefaults -no-user-config -display none -no-reboot -machine pc,memory-backend=ram " +
        "-object memory-backend-file,id=ram,size=256M,mem-path=/proc/self/fd/4,share=on -m 256M -accel tcg -smp 1 -cpu max,-la57,-pku " +
        "-chardev socket,id=link,fd=3 -serial chardev:link -device isa-debug-exit,iobase=0xf4 " +
        "-gdb unix:gdb.sock,server=on,wait=off -bios /usr/share/qemu/qboot.rom -kernel /b/hv.elf32",
    );
  });

  it("take the host's CPU under KVM, and another name for descriptors elsewhere", () => {
    const args = qemuArguments(options, "kvm", { platform: "darwin", qboot: undefined });
    expect(valuesOf(args, "-cpu")).toEqual(["host,-la57,-pku"]);
    expect(valuesOf(args, "-object")[0]).toContain("mem-path=/dev/fd/4,");
    expect(args).not.toContain("-bios");
  });

  it("have as many CPUs as are asked for, and TCG, of several, one more: the first runs no guests", () => {
    const places = (cpus: number, accel: "tcg" | "kvm"): string[] => valuesOf(qemuArguments({ ...options, cpus }, accel, host), "-smp");
    expect([places(4, "kvm"), places(1, "tcg"), places(2, "tcg"), places(8, "tcg")]).toEqual([["4"], ["1"], ["3"], ["9"]]);
  });

  it("boot the disk image without writing to it, its comma doubled", () => {
    const args = qemuArguments({ ...options, bootFrom: "disk" }, "tcg", host);
    expect(valuesOf(args, "-drive")).toEqual(["file=/b/a,,b/hv.img,format=raw,if=ide,index=0,snapshot=on"]);
    expect(args).not.toContain("-kernel");
    expect(args).not.toContain("-bios");
  });

  it("count instructions on demand, and end with what a test adds", () => {
    const args = qemuArguments({ ...options, cpus: 4, icount: true, extra: ["-d", "int"] }, "tcg", host);
    expect(valuesOf(args, "-icount")).toEqual(["shift=0,sleep=off"]);
    // Counted instructions are those of one CPU.
    expect(valuesOf(args, "-smp")).toEqual(["1"]);
    expect(args.slice(-2)).toEqual(["-d", "int"]);
  });

  it("of a scripted machine have no line in, no debugger, one CPU, and the store as a module", () => {
    const args = qemuArguments({ ...options, cpus: 4, scripted: { store: "/run/x,y/store", output: "/run/x,y/line" } }, "tcg", host);
    expect(valuesOf(args, "-chardev")).toEqual(["file,id=link,path=/run/x,,y/line"]);
    expect(valuesOf(args, "-initrd")).toEqual(["/run/x,,y/store"]);
    expect([valuesOf(args, "-smp"), valuesOf(args, "-icount"), valuesOf(args, "-rtc")]).toEqual([
      ["1"],
      ["shift=0,sleep=off"],
      ["base=2026-01-01T00:00:00,clock=vm"],
    ]);
    for (const option of ["-gdb", "-object", "-bios"]) expect(args).not.toContain(option);
  });

  it.each([0, 2 ** 20, 2 ** 24 + 1, Number.NaN])("refuse a memory of %d bytes", (memoryBytes) => {
    expect(() => qemuArguments({ ...options, memoryBytes }, "tcg", host)).toThrow(expect.objectContaining({ code: "E_MEMORY_SIZE" }));
  });
});

describe("the RAM of `pc`", () => {
  const GIB = 2 ** 30;
  it.each([
    [GIB, [{ physical: 0, offset: 0, bytes: GIB }]],
    [3.5 * GIB - 2 ** 20, [{ physical: 0, offset: 0, bytes: 3.5 * GIB - 2 ** 20 }]],
    [
      3.5 * GIB,
      [
        { physical: 0, offset: 0, bytes: 3 * GIB },
        { physical: 4 * GIB, offset: 3 * GIB, bytes: GIB / 2 },
      ],
    ],
  ])("of %d bytes", (bytes, runs) => {
    expect(pcMemoryRuns(bytes)).toEqual(runs);
  });
});
