// Doctor's judgement: facts in, one line a check out, then the sentence that says what `hvkit up` will use. Pure.
import { showSize } from "../api/size.js";
import { HvkitError } from "../errors.js";
import { bochsProblem, chooseEngine, kvmProblem, osName } from "./choice.js";
import type { Facts } from "./facts.js";

export interface Check {
  level: "ok" | "warn" | "FAIL";
  /** stable, for scripts */
  name: string;
  text: string;
  /** what to do about it */
  cure?: string;
}

export interface Diagnosis {
  checks: Check[];
  /** the last sentence */
  verdict: string;
  /** `hvkit up` has something to use */
  usable: boolean;
}

const NODE_FLOOR = [20, 20] as const;
/** the hypervisor's machine of `hvkit up`, and what the engine needs besides */
const MEMORY_WANTED = 1.25 * 2 ** 30;

export function diagnose(facts: Facts): Diagnosis {
  const all = [
    host(facts),
    node(facts),
    memory(facts),
    cpu(facts),
    kvmDevice(facts),
    nested(facts),
    qemu(facts),
    bochs(facts),
    attach(facts),
  ];
  const checks = all.filter((check) => check !== undefined);
  try {
    const choice = chooseEngine(facts, { engine: "auto", accel: "auto" });
    return { checks, verdict: `\`hvkit up\` will use ${choice.why}`, usable: true };
  } catch (error) {
    if (!(error instanceof HvkitError)) throw error;
    return { checks, verdict: `\`hvkit up\` has nothing to use: ${error.message}. ${error.hint ?? ""}`.trim(), usable: false };
  }
}

function host(facts: Facts): Check {
  const text = `${osName(facts)} ${facts.release} on ${facts.arch}${facts.product ? `, ${facts.product}` : ""}`;
  if (facts.platform === "linux" && facts.arch === "x64") return { level: "ok", name: "host", text };
  return {
    level: "warn",
    name: "host",
    text: `${text}: no hardware virtualization for x86 guests`,
    cure: "None needed: QEMU TCG (AMD SVM) and Bochs (Intel VMX) emulate it.",
  };
}

function node({ node: version }: Facts): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const enough = major > NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor >= NODE_FLOOR[1]);
  if (enough) return { level: "ok", name: "node", text: `Node.js ${version}` };
  return { level: "FAIL", name: "node", text: `Node.js ${version} is too old`, cure: `Install ${NODE_FLOOR.join(".")} or newer.` };
}

function memory({ memory: { totalBytes, availableBytes } }: Facts): Check {
  const text = `${showSize(availableBytes)} of ${showSize(totalBytes)} memory available`;
  if (availableBytes >= MEMORY_WANTED) return { level: "ok", name: "memory", text };
  return { level: "warn", name: "memory", text, cure: "Give the hypervisor less than its default of 1 GiB: `hvkit up --memory 512M`." };
}

function cpu(facts: Facts): Check | undefined {
  if (facts.platform !== "linux" || facts.arch !== "x64") return undefined;
  const { flags, model } = facts.cpu;
  const has = flags.includes("vmx") ? "Intel VMX" : flags.includes("svm") ? "AMD SVM" : undefined;
  if (has) return { level: "ok", name: "cpu", text: `${model}: ${has}` };
  const virtual = flags.includes("hypervisor");
  const cure = kvmCure(facts);
  return {
    level: "warn",
    name: "cpu",
    text: `${model}: neither VMX nor SVM shown${virtual ? " (this is a virtual machine)" : ""}`,
    ...(cure === undefined ? {} : { cure }),
  };
}

function kvmDevice(facts: Facts): Check | undefined {
  if (facts.platform !== "linux" || facts.arch !== "x64") return undefined;
  const { kvm } = facts;
  if (kvm?.present && kvm.openError === null && kvm.apiVersion === 12 && kvm.createVm === "ok") {
    return { level: "ok", name: "kvm", text: `/dev/kvm: version ${kvm.apiVersion}, makes virtual machines` };
  }
  const problem = kvmProblem(facts);
  return { level: "warn", name: "kvm", text: `KVM: ${problem?.what ?? "not usable"}`, ...(problem ? { cure: problem.cure } : {}) };
}

/** Only where KVM itself works: else the check before has said it. */
function nested(facts: Facts): Check | undefined {
  const { kvm } = facts;
  if (kvm?.createVm !== "ok") return undefined;
  const problem = kvmProblem(facts);
  if (!problem) return { level: "ok", name: "nested", text: `KVM gives its guests ${kvm.guestVmx ? "Intel VMX" : "AMD SVM"}` };
  return { level: "warn", name: "nested", text: `KVM: ${problem.what}`, cure: problem.cure };
}

function qemu({ engines }: Facts): Check {
  if (engines.qemu)
    return { level: "ok", name: "qemu", text: `QEMU ${engines.qemu.version ?? "of unknown version"}: ${engines.qemu.path}` };
  return {
    level: engines.bochs ? "warn" : "FAIL",
    name: "qemu",
    text: "QEMU: no qemu-system-x86_64 in PATH",
    cure: "Install it (Debian: qemu-system-x86; Homebrew: qemu).",
  };
}

function bochs(facts: Facts): Check {
  const problem = bochsProblem(facts);
  const found = facts.engines.bochs;
  if (!problem && found)
    return { level: "ok", name: "bochs", text: `Bochs ${found.version ?? "of unknown version"} with VMX: ${found.path}` };
  const level = found || facts.engines.qemu ? "warn" : "FAIL";
  return { level, name: "bochs", text: `Bochs: ${problem?.what}`, ...(problem ? { cure: problem.cure } : {}) };
}

/** Nothing is needed for a machine elsewhere but a way to its serial line. */
function attach({ serial }: Facts): Check {
  const lines = serial.map(({ path }) => path).join(", ");
  if (serial.length > 0 && !serial.some(({ usable }) => usable)) {
    return {
      level: "warn",
      name: "attach",
      text: `attach: no permission for ${lines}`,
      cure: "Join the group that owns it, often `sudo usermod -aG dialout $USER`, and log in again.",
    };
  }
  const over = lines === "" ? "a WebSocket of `hvkit bridge`" : `${lines}, or a WebSocket of \`hvkit bridge\``;
  return { level: "ok", name: "attach", text: `attach: \`hvkit up --attach\` drives a hypervisor that is booted elsewhere, over ${over}` };
}

function kvmCure(facts: Facts): string | undefined {
  return kvmProblem(facts)?.cure;
}
