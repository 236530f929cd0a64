// Boots a hypervisor: chooses the engine as doctor does, starts it, and waits until the hypervisor has answered.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Vendor } from "../../../protocol/messages.js";
import type { RpcError } from "../api/jsonrpc.js";
import { chooseEngine, type EngineChoice, type EngineWish } from "../doctor/choice.js";
import { collectFacts } from "../doctor/facts.js";
import type { AttachRequest } from "../engines/attach.js";
import type { RunningEngine } from "../engines/engine.js";
import { HvkitError } from "../errors.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";
import type { Layout } from "../snapshot/format.js";
import { readLayout } from "../snapshot/layout.js";
import type { ListenAddress } from "../transport/address.js";

/** Of emulated CPUs it is one: they share the host's CPUs with QEMU's other threads, and Bochs' take turns. */
const DEFAULT_CPUS = 2;
/** of the lines that say that a machine elsewhere is still waited for */
const WAITING_MS = 5000;

/** what the daemon tells its starter until it is ready */
export type LaunchMessage = { type: "line"; line: string } | { type: "ready" } | { type: "failed"; error: RpcError };

/** How the daemon itself is started. */
export interface LaunchOptions {
  /** a TCP port of loopback besides the socket */
  listen?: ListenAddress;
  /** it ends when its starter does */
  bound?: boolean;
}

export interface BootRequest extends EngineWish {
  /** bytes of the machine's RAM */
  memoryBytes: number;
  /** for guests; left out: two with KVM where the host has them, one where they are emulated */
  cpus?: number;
  /** a machine that was booted elsewhere, in place of all that */
  attach?: AttachRequest;
}

export interface Booted {
  engine: RunningEngine;
  hypervisor: HypervisorClient;
  choice: Pick<EngineChoice, "vendor" | "why">;
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
  /** between two lines that say that a machine elsewhere has not answered yet */
  waitingMs?: number;
}

export type Boot = (request: BootRequest, context: BootContext) => Promise<Booted>;

/** @param root the project's folder, with build/ below */
export function bootFrom(root: string): Boot {
  return async (request, context) => {
    if (request.attach) return attachTo(request.attach, root, context);
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
      cpus: request.cpus ?? (choice.accel === "kvm" ? Math.min(DEFAULT_CPUS, availableParallelism()) : 1),
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

/** What is there already: nothing is started, and guests that another control plane left are ended. */
async function attachTo(request: AttachRequest, root: string, context: BootContext): Promise<Booted> {
  const layout = readLayout(root);
  const why = `a machine that is booted elsewhere, as asked for: ${request.to}.`;
  context.onLine(`engine: ${why}`);
  const { attach } = await import("../engines/attach.js");
  const engine = await attach(request, context.signal);
  context.onEngine(engine);
  let waiting: NodeJS.Timeout | undefined;
  try {
    const { RemoteHypervisor } = await import("../hypervisor/client.js");
    const { patienceFor } = await import("../hypervisor/session.js");
    const { endGuests } = await import("../hypervisor/leftovers.js");
    const most = patienceFor(engine) / 1000;
    const begun = Date.now();
    waiting = setInterval(() => {
      context.onLine(`engine: no answer yet after ${Math.round((Date.now() - begun) / 1000)} s; it is waited for ${most} s.`);
    }, context.waitingMs ?? WAITING_MS);
    const hypervisor = await RemoteHypervisor.connect(engine, {
      symbolsPath: join(root, "build", "hv.elf"),
      onText: context.onLine,
      onFault: context.onFault,
      signal: context.signal,
    });
    clearInterval(waiting);
    await warnOfBuild(root, hypervisor, context);
    const left = await endGuests(hypervisor);
    await hypervisor.modules.moduleUse(0); // whose layout table is known here
    if (left > 0)
      context.onLine(`engine: ${left} guest${left === 1 ? "" : "s"} of an earlier control plane ${left === 1 ? "was" : "were"} ended.`);
    return { engine, hypervisor, choice: { vendor: hypervisor.hello.vendor === Vendor.Vmx ? "Intel VMX" : "AMD SVM", why }, layout };
  } catch (error) {
    await engine.stop();
    throw error instanceof HvkitError && error.code === "E_LINK_TIMEOUT" ? engine.silent(error) : error;
  } finally {
    clearInterval(waiting);
  }
}

/** Of the same protocol, but not of the same sources: what is read from a guest's machine may be misread. */
async function warnOfBuild(root: string, { hello }: HypervisorClient, { onLine }: BootContext): Promise<void> {
  const image = await readFile(join(root, "build", "hv.elf"), "latin1").catch(() => "");
  if (image.includes(hello.identity)) return;
  onLine(`engine: the hypervisor there is another build (${hello.identity}) than this one; \`hvkit machine\` and snapshots may be wrong.`);
}
