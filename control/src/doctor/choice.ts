// Which engine a machine offers: the one function that `hvkit up` and `hvkit doctor` both ask. Pure: facts and a wish in.
//
//   QEMU with KVM, where guests of KVM get VMX or SVM    hardware runs the hypervisor
//   QEMU TCG                                             emulates AMD SVM on any host
//   Bochs                                                emulates Intel VMX on any host
import type { Accel, EngineName } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import type { Facts } from "./facts.js";

export interface EngineWish {
  engine: "auto" | EngineName;
  accel: "auto" | "kvm" | "tcg";
}

export interface EngineChoice {
  engine: EngineName;
  accel: Accel;
  /** what the hypervisor will find */
  vendor: "Intel VMX" | "AMD SVM";
  /** a sentence: what, and why not something better */
  why: string;
}

export function chooseEngine(facts: Facts, wish: EngineWish): EngineChoice {
  const { qemu, bochs } = facts.engines;
  if (wish.engine === "bochs") {
    if (wish.accel !== "auto") {
      throw new HvkitError("E_USAGE", `--accel ${wish.accel} is not for Bochs, which emulates all`, { hint: "Leave --accel out." });
    }
    if (!bochs) throw missing("Bochs", "bochs");
    const problem = bochsProblem(facts);
    if (problem) throw new HvkitError("E_BOCHS", `Bochs cannot be used: ${problem.what}`, { hint: problem.cure });
    return {
      engine: "bochs",
      accel: "emulated",
      vendor: "Intel VMX",
      why: "Bochs, as asked for: it emulates Intel VMX and needs no hardware for it.",
    };
  }

  const kvm = kvmProblem(facts);
  if (wish.accel === "kvm" && kvm) throw new HvkitError("E_NO_KVM", `KVM cannot run the hypervisor: ${kvm.what}`, { hint: kvm.cure });
  if (!qemu) {
    if (wish.engine === "auto" && wish.accel === "auto" && bochs && !bochsProblem(facts)) {
      return { engine: "bochs", accel: "emulated", vendor: "Intel VMX", why: "Bochs, which emulates Intel VMX: QEMU is not installed." };
    }
    throw missing("QEMU", "qemu-system-x86_64");
  }
  if (!kvm && wish.accel !== "tcg") {
    const vendor = facts.kvm?.guestVmx ? "Intel VMX" : "AMD SVM";
    return {
      engine: "qemu",
      accel: "kvm",
      vendor,
      why: `QEMU with KVM: guests of this machine's KVM have ${vendor}, so that hardware runs the hypervisor.`,
    };
  }
  const why = wish.accel === "tcg" ? "as asked for" : `KVM cannot run the hypervisor here (${kvm?.what})`;
  return { engine: "qemu", accel: "tcg", vendor: "AMD SVM", why: `QEMU TCG, which emulates AMD SVM on any machine: ${why}.` };
}

export interface Problem {
  what: string;
  cure: string;
}

/** Why KVM cannot run a hypervisor in its guests; undefined: it can. */
export function kvmProblem(facts: Facts): Problem | undefined {
  const { kvm, cpu } = facts;
  if (facts.platform !== "linux") return { what: `${osName(facts)} has no KVM`, cure: "None needed: QEMU TCG emulates AMD SVM here." };
  if (facts.arch !== "x64") {
    return { what: `KVM on ${facts.arch} runs no x86 machines`, cure: "None needed: QEMU TCG emulates AMD SVM here." };
  }
  if (!kvm?.present) return noDevice(facts);
  if (kvm.openError === "EACCES" || kvm.openError === "EPERM") {
    return { what: "no permission for /dev/kvm", cure: "Join the group that owns it, `sudo usermod -aG kvm $USER`, and log in again." };
  }
  if (kvm.openError !== null)
    return { what: `/dev/kvm does not open (${kvm.openError})`, cure: "Load the kernel module kvm_intel or kvm_amd, and look at `dmesg`." };
  if (kvm.apiVersion !== 12)
    return {
      what: `/dev/kvm answers version ${kvm.apiVersion ?? "nothing"}, not 12`,
      cure: "Use a Linux kernel with KVM's stable interface.",
    };
  if (kvm.createVm !== "ok") return vmRefused(facts);
  if (kvm.guestVmx || kvm.guestSvm) return undefined;
  return noNesting(facts, cpu.vendor === "AuthenticAMD" || cpu.flags.includes("svm") ? "kvm_amd" : "kvm_intel");
}

export function bochsProblem(facts: Facts): Problem | undefined {
  const { bochs } = facts.engines;
  if (!bochs) return { what: "it is not installed", cure: "Install it (Debian: bochs bochs-term bochsbios vgabios)." };
  if (!bochs.vmx) return { what: "it was built without VMX", cure: "Use a build with --enable-vmx=2 (Debian's has it)." };
  if (!bochs.bios) return { what: "its BIOS image is not in /usr/share/bochs", cure: "Install Debian's package bochsbios." };
  if (!bochs.vgaBios) return { what: "the VGA BIOS is not in /usr/share/vgabios", cure: "Install Debian's package vgabios." };
  return undefined;
}

function noDevice(facts: Facts): Problem {
  const { cpu } = facts;
  const has = cpu.flags.includes("vmx") || cpu.flags.includes("svm");
  if (has && !facts.modules.includes("kvm_intel") && !facts.modules.includes("kvm_amd")) {
    const module = cpu.flags.includes("vmx") ? "kvm_intel" : "kvm_amd";
    return {
      what: `there is no /dev/kvm: the kernel module ${module} is not loaded`,
      cure: `\`sudo modprobe ${module}\`; when it says "disabled by BIOS", switch ${firmwareSetting(facts)} on in the firmware.`,
    };
  }
  if (cpu.flags.includes("hypervisor")) {
    return { what: "there is no /dev/kvm, and this is a virtual machine whose hypervisor gives it no VMX or SVM", cure: hostCure(facts) };
  }
  return {
    what: "there is no /dev/kvm, and the CPU shows no VMX or SVM",
    cure: `Switch ${firmwareSetting(facts)} on in the firmware's setup; a CPU that has it shows it then.`,
  };
}

function vmRefused({ kvm, modules }: Facts): Problem {
  const owner = modules.includes("vboxdrv") ? "VirtualBox" : modules.includes("vmmon") ? "VMware" : undefined;
  if (kvm?.createVm === "EBUSY" && owner) {
    return {
      what: `${owner} holds the CPU's virtualization (EBUSY)`,
      cure: `End ${owner}'s virtual machines, or unload its kernel module.`,
    };
  }
  return {
    what: `KVM makes no virtual machine (${kvm?.createVm ?? "unknown"})`,
    cure: "Look at `dmesg`; another hypervisor may hold the CPU's virtualization.",
  };
}

function noNesting(facts: Facts, module: "kvm_intel" | "kvm_amd"): Problem {
  const { nested, cpu } = facts;
  if (nested[module] === "N" || nested[module] === "0") {
    return {
      what: `its guests get no ${module === "kvm_intel" ? "VMX" : "SVM"}, as ${module} has nested=0`,
      cure: `\`sudo modprobe -r ${module} && sudo modprobe ${module} nested=1\`; for good: "options ${module} nested=1" in /etc/modprobe.d/kvm.conf.`,
    };
  }
  if (cpu.flags.includes("hypervisor") && !cpu.flags.includes("vmx") && !cpu.flags.includes("svm")) {
    return { what: "its guests get neither VMX nor SVM, as this is itself a virtual machine without them", cure: hostCure(facts) };
  }
  return { what: "its guests get neither VMX nor SVM", cure: `Look at /sys/module/${module}/parameters/nested.` };
}

function hostCure({ product }: Facts): string {
  const where = product ? ` (${product})` : "";
  return `Switch nested virtualization on for this virtual machine where it runs${where}, or use one that has it.`;
}

function firmwareSetting({ cpu }: Facts): string {
  return cpu.vendor === "AuthenticAMD"
    ? "'SVM Mode'"
    : cpu.vendor === "GenuineIntel"
      ? "'Intel Virtualization Technology' (VT-x)"
      : "hardware virtualization";
}

export function osName({ platform }: Facts): string {
  return { darwin: "macOS", win32: "Windows", freebsd: "FreeBSD" }[platform] ?? platform;
}

function missing(name: string, binary: string): HvkitError {
  return new HvkitError("E_NO_ENGINE", `${name} is not installed: there is no ${binary} in PATH`, {
    hint: "`node scripts/setup.mjs` installs it on Debian, and names the packages elsewhere.",
  });
}
