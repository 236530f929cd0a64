// The engines that the contract suite runs on, and why one is left out. HVKIT_CONTRACT=qemu,bochs,kvm chooses among them.

import { describe } from "vitest";
import { chooseEngine, type EngineChoice, type EngineWish } from "../../../control/src/doctor/choice.js";
import { collectFacts } from "../../../control/src/doctor/facts.js";
import type { Accel, EngineName } from "../../../control/src/engines/engine.js";

export interface Target {
  /** as it stands in test names and HVKIT_CONTRACT */
  name: "qemu" | "bochs" | "kvm";
  title: string;
  engine: EngineName;
  accel: Accel;
  vendor: "Intel VMX" | "AMD SVM";
  /** how much longer than on a real machine things take: Bochs runs 60 million instructions a second */
  patience: number;
  /** of the machine, unless a suite says otherwise */
  cpus: number;
}

const wishes: { name: Target["name"]; wish: EngineWish; patience: number }[] = [
  { name: "qemu", wish: { engine: "qemu", accel: "tcg" }, patience: 1 },
  { name: "bochs", wish: { engine: "bochs", accel: "auto" }, patience: 3 },
  { name: "kvm", wish: { engine: "qemu", accel: "kvm" }, patience: 1 },
];

const facts = await collectFacts();
const chosen = (process.env.HVKIT_CONTRACT ?? "qemu,bochs,kvm").split(",");

/** Why a suite of an engine is left out; undefined: it runs. */
export function engineProblem(name: Target["name"]): string | undefined {
  if (!chosen.includes(name)) return "HVKIT_CONTRACT leaves it out";
  try {
    const found = wishes.find((each) => each.name === name);
    if (found) chooseEngine(facts, found.wish);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The engines of both vendors at once, QEMU with SVM and Bochs with VMX; where one is not there the suite is skipped, with the reason. */
export function onBothVendors(title: string, suite: (svm: Target, vmx: Target) => void): void {
  const found: Target[] = [];
  for (const { name, wish, patience } of wishes) {
    if (name === "kvm") continue;
    try {
      if (!chosen.includes(name)) throw new Error("HVKIT_CONTRACT leaves it out");
      const { engine, accel, vendor } = chooseEngine(facts, wish);
      found.push({ name, title: `${name} (${vendor})`, engine, accel, vendor, patience, cpus: 1 });
    } catch (error) {
      process.stderr.write(`contract: ${title}: ${name} is missing: ${(error as Error).message}\n`);
    }
  }
  const [svm, vmx] = found;
  if (svm && vmx) describe(title, () => suite(svm, vmx));
  else
    describe.skip(`${title}: both engines are needed`, () =>
      suite(
        { name: "qemu", title: "", ...unavailable, patience: 1, cpus: 1 },
        { name: "bochs", title: "", ...unavailable, patience: 1, cpus: 1 },
      ));
}

/** Runs `suite` once for each engine and number of CPUs; an engine that this machine does not offer is skipped, with the reason. */
export function onEachEngine(title: string, suite: (target: Target) => void, cpuCounts: readonly number[] = [1]): void {
  for (const { name, wish, patience } of wishes) {
    if (!chosen.includes(name)) continue;
    let choice: EngineChoice;
    try {
      choice = chooseEngine(facts, wish);
    } catch (error) {
      const reason = (error as Error).message;
      process.stderr.write(`contract: ${title}: ${name} is skipped: ${reason}\n`);
      describe.skip(`${title} on ${name}: ${reason}`, () => suite({ name, title: name, ...unavailable, patience, cpus: 1 }));
      continue;
    }
    const { engine, accel, vendor } = choice;
    for (const cpus of cpuCounts) {
      const machine = `${name} (${vendor}${cpus === 1 ? "" : `, ${cpus} CPUs`})`;
      describe(`${title} on ${machine}`, () => suite({ name, title: machine, engine, accel, vendor, patience, cpus }));
    }
  }
}

/** A skipped suite is collected, but never run. */
const unavailable = { engine: "qemu", accel: "kvm", vendor: "Intel VMX" } as const;
