// A hypervisor for tests: an instance of its own, so that it is beside whatever else runs, and gone afterwards, however they end.
import { randomBytes } from "node:crypto";
import { down, type UpOptions, up, type Where } from "../client/hvkit.js";

export type TestHypervisor = Where;

export async function bootForTests(
  options: Omit<UpOptions, keyof Where | "bound" | "signal">,
): Promise<{ where: TestHypervisor; end: () => Promise<void> }> {
  const where = { instance: `test-${randomBytes(4).toString("hex")}` };
  const end = async (): Promise<void> => void (await down(where));
  try {
    const hvkit = await up({ ...options, ...where, bound: true });
    await hvkit.close();
    return { where, end };
  } catch (error) {
    await end().catch(() => {}); // the first error says more
    throw error;
  }
}
