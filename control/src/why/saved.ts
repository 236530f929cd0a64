// The evidence that a snapshot gives: one moment, and nothing of what happened before or after it. A Linux has its log with it, though.

import type { MachineView } from "../inspect/view.js";
import type { KernelPanic } from "../linux/kernelpanic.js";
import type { Evidence } from "./evidence.js";
import { standingOf } from "./standing.js";

/** @param panic what the guest's log says of one */
export async function collectSaved(view: MachineView, panic: KernelPanic | undefined): Promise<Evidence> {
  const standing = await standingOf(view, await view.registers());
  return { guest: view.name, state: "saved", end: null, debugged: false, standing, running: undefined, fault: undefined, panic };
}
