// A hypervisor for tests: in a folder of its own, so that it is beside whatever else runs, and gone afterwards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { down, type UpOptions, up } from "../client/hvkit.js";

export interface TestHypervisor {
  runtimeFolder: string;
}

export async function bootForTests(
  options: Omit<UpOptions, "runtimeFolder" | "signal">,
): Promise<{ where: TestHypervisor; end: () => Promise<void> }> {
  const runtimeFolder = mkdtempSync(join(tmpdir(), "hvkit-test-"));
  const end = async (): Promise<void> => {
    await down({ runtimeFolder });
    rmSync(runtimeFolder, { recursive: true, force: true });
  };
  try {
    const hvkit = await up({ ...options, runtimeFolder });
    await hvkit.close();
    return { where: { runtimeFolder }, end };
  } catch (error) {
    await end().catch(() => {}); // the first error says more
    throw error;
  }
}
