// What is known of a guest, as files in a folder, for whoever finds that a test failed: `guest.json` (hvkit inspect), `console.log`, `console1.log`
// (the second port's, when there is one), `registers.json`, `exits.json` (hvkit stats), `trace.json` (the last recorded exits), `panic.json` (of a Linux
// that panicked), `snapshot.hvsnap` (of a guest that had not ended). What cannot be had is told in `missing.txt`.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { GuestDetail } from "../api/schemas.js";
import type { Guest } from "../client/guest.js";

const LAST_EXITS = 512;
const SECOND_PORT = 1;

export async function keepArtifacts(guest: Guest, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const missing: string[] = [];
  const keep = async (name: string, make: () => Promise<string | Uint8Array | undefined>): Promise<void> => {
    try {
      const content = await make();
      if (content !== undefined) await writeFile(join(folder, name), content);
    } catch (error) {
      missing.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  let detail: GuestDetail | undefined;
  await keep("guest.json", async () => {
    detail = await guest.inspect();
    return json(detail);
  });
  await keep("console.log", () => guest.logs());
  await keep("console1.log", async () => {
    const bytes = await guest.logs({ port: SECOND_PORT });
    return bytes.length > 0 ? bytes : undefined;
  });
  await keep("panic.json", async () => {
    const panic = detail?.kind === "linux" ? await guest.panic() : undefined;
    return panic && json(panic);
  });
  await keep("registers.json", async () => json(await guest.regs()));
  await keep("exits.json", async () => json(await guest.stats()));
  await keep("trace.json", async () => ((await guest.stats()).traced ? json(await guest.trace({ last: LAST_EXITS })) : undefined));
  await keep("snapshot.hvsnap", async () => {
    if (detail?.state !== "running" && detail?.state !== "paused") throw new Error(`the guest is ${detail?.state ?? "gone"}`);
    const { name, path } = await guest.snapshot({ name: `artifact-${guest.id}`, replace: true });
    try {
      await copyFile(path, join(folder, "snapshot.hvsnap"));
    } finally {
      await guest.client.call("snapshot.rm", { name });
    }
    return undefined;
  });
  if (missing.length > 0) await writeFile(join(folder, "missing.txt"), `${missing.join("\n")}\n`);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? `0x${each.toString(16)}` : each), 2)}\n`;
}
