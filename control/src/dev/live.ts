// `hvkit dev --live`: after a save the machine alone is linked once more, for a place in the hypervisor that runs, and the daemon has its guests go over to it.
import type { DevEvent } from "../api/dev.js";
import type { Client } from "../client/client.js";
import { HvkitError } from "../errors.js";
import type { Change } from "./sources.js";
import type { Toolchain } from "./toolchain.js";

/** What guests are started from; the next one has it. */
const isImage = (file: string): boolean => file.startsWith("images/");
const isControl = (file: string): boolean => file.startsWith("control/");

/** All was built before. */
export async function swapLive(
  client: Client,
  toolchain: Toolchain,
  { files, savedAt }: Change,
  tell: (event: DevEvent) => void,
): Promise<void> {
  const control = files.filter(isControl);
  if (control.length > 0) tell(restartNeeded(control, "the daemon is as it was"));
  if (files.every((file) => isControl(file) || isImage(file))) return;
  const begun = performance.now();
  const place = await client.call("swap.place", { identity: toolchain.moduleIdentity() });
  const module = await toolchain.module(place.address);
  if ("failed" in module) throw new HvkitError("E_SWAP_BUILD", module.failed);
  if (module.base !== place.base) {
    tell(restartNeeded(files, "more than the machine has changed since the hypervisor was booted, which stays as it is"));
    return;
  }
  const { hypervisor } = await client.call("status", {});
  if (hypervisor?.module.identity === module.identity) return;
  const swapped = await client.call("swap", { module: Buffer.from(module.bytes).toString("base64"), layout: module.layout });
  tell({
    event: "swapped",
    module: swapped.module,
    slot: swapped.slot,
    newGuests: swapped.newGuests,
    ms: performance.now() - begun,
    msAfterSave: Date.now() - savedAt,
    guests: swapped.guests.map(({ name, ms, error }) => ({ guest: name, ms, error: error && `${error.message} (${error.code})` })),
  });
}

function restartNeeded(files: string[], why: string): DevEvent {
  return {
    event: "restart-needed",
    files,
    text: `a restart is needed: ${why}. Leave, then \`hvkit down\`, and \`hvkit dev\` again; without --live it does so at each save.`,
  };
}
