// The engines by name: where the daemon gets one from.
import { BochsEngine } from "./bochs.js";
import type { Engine, EngineName } from "./engine.js";
import { QemuEngine } from "./qemu.js";

export function createEngine(name: EngineName): Engine {
  return name === "qemu" ? new QemuEngine() : new BochsEngine();
}
