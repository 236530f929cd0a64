// Boots a hypervisor: chooses the engine as doctor does, starts it, and waits until the hypervisor has answered.
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { RpcError } from "../api/jsonrpc.js";
import { chooseEngine, type EngineChoice, type EngineWish } from "../doctor/choice.js";
import { collectFacts } from "../doctor/facts.js";
import type { RunningEngine } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";
import type { Layout } from "../snapshot/format.js";
import { readLayout } from "../snapshot/layout.js";

const DEFAULT_CPUS = 2;

/** what the daemon tells its starter until it is ready */
export type LaunchMessage = { type: "line"; line: string } | { type: "ready" } | { type: "failed"; error: RpcError };

export interface BootRequest extends EngineWish {
  /** bytes of the machine's RAM */
  memoryBytes: number;
  /** of the machine; left out: two where the host has them, one in Bochs, whose CPUs take turns */
  cpus?: number;
}

export interface Booted {
  engine: RunningEngine;
  hypervisor: HypervisorClient;
  choice: EngineChoice;
  /** of the state region of the build that was booted */
  layout: Layout;
}

export interface BootContext {
  /** a private folder for this start of the engine */
  runDir: string;
  /** a line about the boot's progress: the engine's choice, the hypervisor's own lines */
  onLine: (line: string) => void;
  onEngine: (engine: RunningEngine) => void;
  /** a listener on the hypervisor's events threw */
  onFault: (error: unknown) => void;
  signal: AbortSignal;
}

export type Boot = (request: BootRequest, context: BootContext) => Promise<Booted>;

/** @param root the project's folder, with build/ below */
export function bootFrom(root: string): Boot {
  return async (request, context) => {
    const kernelPath = join(root, "build", "hv.elf32");
    const imagePath = join(root, "build", "hv.img");
    for (const path of [kernelPath, imagePath]) {
      if (!existsSync(path))
        throw new HvkitError("E_NOT_BUILT", `the hypervisor is not built: ${path} is missing`, { hint: "Run `npm run build`." });
    }
    const layout = readLayout(root);
    const choice = chooseEngine(await collectFacts(), request);
    context.onLine(`engine: ${choice.why}`);
    const { createEngine } = await import("../engines/engines.js");
    const engine = await createEngine(choice.engine).start({
      memoryBytes: request.memoryBytes,
      cpus: request.cpus ?? (choice.engine === "bochs" ? 1 : Math.min(DEFAULT_CPUS, availableParallelism())),
      accel: choice.accel === "emulated" ? "auto" : choice.accel,
      runDir: context.runDir,
      kernelPath,
      imagePath,
    });
    context.onEngine(engine);
    try {
      const { RemoteHypervisor } = await import("../hypervisor/client.js");
      const symbolsPath = join(root, "build", "hv.elf");
      const hypervisor = await RemoteHypervisor.connect(engine, {
        symbolsPath,
        onText: context.onLine,
        onFault: context.onFault,
        signal: context.signal,
      });
      return { engine, hypervisor, choice, layout };
    } catch (error) {
      await engine.stop();
      throw error;
    }
  };
}
