// Doctor's judgements on recorded machines: the level of each check, its cure, and the engine that `hvkit up` takes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { showDiagnosis } from "../../../control/src/cli/commands/doctor.js";
import { diagnose } from "../../../control/src/doctor/checks.js";
import { chooseEngine, type EngineWish } from "../../../control/src/doctor/choice.js";
import { collectFacts, type Facts } from "../../../control/src/doctor/facts.js";

const folder = join(import.meta.dirname, "machines");
const machine = (name: string): Facts => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Facts;
const auto: EngineWish = { engine: "auto", accel: "auto" };

describe("doctor", () => {
  it.each<[string, string, Record<string, string>, RegExp]>([
    [
      "intel-kvm",
      "qemu kvm Intel VMX",
      { cpu: "ok", kvm: "ok", nested: "ok", qemu: "ok", bochs: "ok" },
      /guests of this machine's KVM have Intel VMX/,
    ],
    ["amd-nested", "qemu kvm AMD SVM", { kvm: "ok", nested: "ok" }, /KVM have AMD SVM/],
    [
      "intel-no-permission",
      "qemu tcg AMD SVM",
      { cpu: "ok", kvm: "warn", attach: "warn" },
      /usermod -aG kvm.*no permission for \/dev\/ttyUSB0/s,
    ],
    ["intel-nested-off", "qemu tcg AMD SVM", { kvm: "ok", nested: "warn" }, /modprobe kvm_intel nested=1/],
    ["intel-firmware-off", "qemu tcg AMD SVM", { cpu: "warn", kvm: "warn" }, /'Intel Virtualization Technology' \(VT-x\)/],
    ["amd-firmware-off", "qemu tcg AMD SVM", { cpu: "ok", kvm: "warn" }, /modprobe kvm_amd.*'SVM Mode'/],
    ["cloud-vm", "qemu tcg AMD SVM", { cpu: "warn", kvm: "warn" }, /nested virtualization on .* \(m7i\.large\)/],
    ["virtualbox-owns-vt", "qemu tcg AMD SVM", { kvm: "warn" }, /VirtualBox holds .*End VirtualBox's/s],
    ["macos-arm", "qemu tcg AMD SVM", { host: "warn", qemu: "ok", bochs: "warn" }, /macOS has no KVM/],
    ["arm-linux", "qemu tcg AMD SVM", { host: "warn", qemu: "ok" }, /KVM on arm64 runs no x86 machines/],
    ["no-engines", "E_NO_ENGINE", { qemu: "FAIL", bochs: "FAIL", attach: "ok" }, /has nothing to use: QEMU is not installed/],
    ["bochs-only", "bochs emulated Intel VMX", { qemu: "warn", bochs: "ok" }, /Bochs, which emulates Intel VMX: QEMU is not installed/],
    ["bochs-without-vmx", "E_NO_ENGINE", { qemu: "warn", bochs: "warn" }, /--enable-vmx=2/],
    ["old-and-small", "qemu tcg AMD SVM", { node: "FAIL", memory: "warn", bochs: "warn" }, /--memory 512M/],
    [
      "pvm",
      "qemu tcg AMD SVM",
      { cpu: "warn", kvm: "ok", nested: "warn", qemu: "ok", bochs: "ok" },
      /guests get neither VMX nor SVM, as this is itself a virtual machine/,
    ],
  ])("on %s: %s", (name, choice, levels, text) => {
    const facts = machine(name);
    const { checks, verdict, usable } = diagnose(facts);
    expect(Object.fromEntries(checks.map((check) => [check.name, check.level]))).toMatchObject(levels);
    expect(showDiagnosis({ checks, verdict, usable })).toMatch(text);
    expect(usable).toBe(!choice.startsWith("E_"));
    if (usable) {
      const { engine, accel, vendor, why } = chooseEngine(facts, auto);
      expect(`${engine} ${accel} ${vendor}`).toBe(choice);
      expect(verdict).toBe(`\`hvkit up\` will use ${why}`);
    } else {
      expect(() => chooseEngine(facts, auto)).toThrow(expect.objectContaining({ code: choice }));
    }
    // What is not ok has a cure.
    for (const check of checks) if (check.level !== "ok") expect(check.cure, check.name).toBeTruthy();
  });

  it("knows every recorded machine", () => {
    for (const file of readdirSync(folder)) expect(() => diagnose(machine(file.replace(/\.json$/, "")))).not.toThrow();
  });

  it("prints a line a check, the cure below, and what up will use last", () => {
    expect(showDiagnosis(diagnose(machine("intel-nested-off")))).toMatchInlineSnapshot(`
      "ok    linux 6.1.0-37-amd64 on x64, 20L7S00100
      ok    Node.js 20.20.2
      ok    11 GiB of 16 GiB memory available
      ok    Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz: Intel VMX
      ok    /dev/kvm: version 12, makes virtual machines
      warn  KVM: its guests get no VMX, as kvm_intel has nested=0
            → \`sudo modprobe -r kvm_intel && sudo modprobe kvm_intel nested=1\`; for good: "options kvm_intel nested=1" in /etc/modprobe.d/kvm.conf.
      ok    QEMU 7.2.22: /usr/bin/qemu-system-x86_64
      ok    Bochs 2.7 with VMX: /usr/bin/bochs
      ok    attach: \`hvkit up --attach\` drives a hypervisor that is booted elsewhere, over /dev/ttyS0, or a WebSocket of \`hvkit bridge\`

      \`hvkit up\` will use QEMU TCG, which emulates AMD SVM on any machine: KVM cannot run the hypervisor here (its guests get no VMX, as kvm_intel has nested=0)."
    `);
  });

  it("looks at this machine", async () => {
    const facts = await collectFacts();
    expect(facts.node).toBe(process.versions.node);
    expect(facts.memory.totalBytes).toBeGreaterThan(2 ** 27);
    expect(diagnose(facts).verdict).toMatch(/^`hvkit up` /);
  });
});

describe("the engine's choice", () => {
  it.each<[string, EngineWish, string]>([
    ["intel-kvm", { engine: "qemu", accel: "tcg" }, "qemu tcg AMD SVM"],
    ["intel-kvm", { engine: "auto", accel: "kvm" }, "qemu kvm Intel VMX"],
    ["intel-kvm", { engine: "bochs", accel: "auto" }, "bochs emulated Intel VMX"],
    ["cloud-vm", { engine: "auto", accel: "kvm" }, "E_NO_KVM"],
    ["intel-kvm", { engine: "bochs", accel: "kvm" }, "E_USAGE"],
    ["macos-arm", { engine: "bochs", accel: "auto" }, "E_NO_ENGINE"],
    ["bochs-only", { engine: "qemu", accel: "auto" }, "E_NO_ENGINE"],
    ["bochs-only", { engine: "auto", accel: "tcg" }, "E_NO_ENGINE"],
    ["bochs-without-vmx", { engine: "bochs", accel: "auto" }, "E_BOCHS"],
  ])("on %s, asked for %o: %s", (name, wish, expected) => {
    let found: string;
    try {
      const { engine, accel, vendor } = chooseEngine(machine(name), wish);
      found = `${engine} ${accel} ${vendor}`;
    } catch (error) {
      found = (error as { code: string }).code;
    }
    expect(found).toBe(expected);
  });
});
