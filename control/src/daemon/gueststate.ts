// What may be done to a guest in which state, and what is said where it may not. Used by guests, which moves them from state to state.
import type { GuestEnd, GuestState } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import type { Guest } from "./guest.js";

/** The guest's slot in the hypervisor. @throws E_GUEST_STATE it is in none of these states; `what`: cannot be done then */
export function requireState(guest: Guest, states: readonly GuestState[], what: string): number {
  if (states.includes(guest.state) && guest.slot !== undefined) return guest.slot;
  throw new HvkitError("E_GUEST_STATE", `guest '${guest.name}' is ${guest.state}: cannot ${what} it`, {
    hint: WAY_OUT[guest.state](guest.name),
    data: { state: guest.state },
  });
}

/** How a guest gets out of a state in which it does not do what is asked for. */
const WAY_OUT: Record<GuestState, (name: string) => string> = {
  created: () => "It is being started: wait for that (`hvkit events -f`).",
  restarting: () => "It is being started again: wait for that (`hvkit events -f`).",
  running: (name) => `Let it stand with: hvkit pause ${name}`,
  paused: (name) => `Let it go on with: hvkit unpause ${name}`,
  exited: (name) => `Start it again with: hvkit reset ${name}`,
  lost: (name) => `Start it again with: hvkit reset ${name}`,
};

/** Who has it continues it. */
export function attached(name: string): HvkitError {
  return new HvkitError("E_DEBUG_ATTACHED", `guest '${name}' has a debugger already`, {
    hint: "Continue or detach there; when its `hvkit debug` ends, it is detached.",
    data: { guest: name },
  });
}

/** An end that a request made, and not the guest. */
export function killed(code: string, text: string): GuestEnd {
  return { code, text, value: "0x0", rip: "0x0" };
}
