// Guests of a hypervisor that goes on without its control plane: each is ended, so that the next one finds it as after a boot.
import { GuestLimit, RunState } from "../../../protocol/messages.js";
import { HvkitError } from "../errors.js";
import type { HypervisorClient } from "./hypervisor.js";

/** Ends all guests, whoever made them. Gives their number. */
export async function endGuests(hypervisor: HypervisorClient): Promise<number> {
  const { guests } = await hypervisor.hostStat();
  let found = 0;
  for (let slot = 0; slot < GuestLimit.Slots && found < guests; slot++) {
    const state = await hypervisor.guestState(slot).catch(unless("E_HV_NO_SUCH_GUEST"));
    if (!state || state.state === RunState.Empty) continue;
    found++;
    // It may end by itself meanwhile; one that was never started cannot be killed.
    if (state.state !== RunState.Ended && state.state !== RunState.Created)
      await hypervisor.guestKill(slot).catch(unless("E_HV_BAD_STATE"));
    await hypervisor.guestDestroy(slot);
  }
  return found;
}

const unless =
  (code: string) =>
  (error: unknown): undefined => {
    if (error instanceof HvkitError && error.code === code) return undefined;
    throw error;
  };
