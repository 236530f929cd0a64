// Boots a hypervisor: chooses the engine as doctor does, starts it, and waits until the hypervisor has answered.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { chooseEngine, type EngineChoice, type EngineWish } from "../doctor/choice.js";
import { collectFacts } from "../doctor/facts.js";
import type { Engine, RunningEngine } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";

export interface BootRequest extends EngineWish {
  /** bytes of the machine's RAM */
  memoryBytes: number;
}

export interface Booted {
  engine: RunningEngine;
  hypervisor: HypervisorClient;
  choice: EngineChoice;
}

export interface BootContext {
  /** a private folder for this start of the engine */
  runDir: string;
  /** a line about the boot's progress: the engine's choice, the hypervisor's own lines */
  onLine: (line: string) => void;
  onEngine: (engine: RunningEngine) => void;
  signal: AbortSignal;
}

export type Boot = (request: BootRequest, context: BootContext) => Promise<Booted>;

/** @param root the project's folder, with build/ below */
export function bootFrom(root: string): Boot {
  return async (request, context) => {
    const kernelPath = join(root, "build", "hv.elf32");
    const imagePath = join(root, "build", "hv.img");
    for (const path of [kernelPath, imagePath]) {
      if (!existsSync(path)) throw new HvkitError("E_NOT_BUILT", `the hypervisor is not built: ${path} is missing`, { hint: "Run `npm run build`." });
    }
    const choice = chooseEngine(await collectFacts(), request);
    context.onLine(`engine: ${choice.why}`);
    const accel = choice.accel === "emulated" ? "auto" : choice.accel;
    const engine = await (await engineNamed(choice.engine)).start({
      memoryBytes: request.memoryBytes,
      accel,
      runDir: context.runDir,
      kernelPath,
      imagePath,
    });
    context.onEngine(engine);
    try {
      const { connect } = await import("../hypervisor/connect.js");
      const hypervisor = await connect(engine, { symbolsPath: join(root, "build", "hv.elf"), onText: context.onLine, signal: context.signal });
      return { engine, hypervisor, choice };
    } catch (error) {
      const words = engine.lastWords().trim();
      await engine.stop();
      if (!(error instanceof HvkitError) || words === "") throw error;
      throw new HvkitError(error.code, `${error.message}\nThe engine's last words:\n${words}`, {
        cause: error,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        ...(error.data === undefined ? {} : { data: error.data }),
      });
    }
  };
}

async function engineNamed(name: EngineChoice["engine"]): Promise<Engine> {
  if (name === "qemu") return new (await import("../engines/qemu.js")).QemuEngine();
  return new (await import("../engines/bochs.js")).BochsEngine();
}
