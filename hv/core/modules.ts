// Operations on machine modules: what there is, one more, which one new guests start on, and a guest that goes over to another. The host has the
// modules and checks them; what it says is told.

import { Status } from "../../protocol/messages";
import { GuestSwapArgs, ModuleFault, ModuleLimit, ModuleLoadArgs, ModuleUseArgs, ModuleWord } from "../../protocol/module";
import { exists } from "./guests";
import * as host from "./host";
import { arg, failWith, failWithTwo, word } from "./message";

export function modules(): u32 {
  word(host.module(0, ModuleWord.BaseLow));
  word(host.module(0, ModuleWord.BaseHigh));
  for (let slot: u32 = 0; slot < <u32>ModuleLimit.Slots; slot++) {
    for (let index: u32 = 0; index < <u32>ModuleWord.Words; index++) word(host.module(slot, index));
  }
  return Status.Ok;
}

export function moduleLoad(carrier: u32): u32 {
  const fault = host.moduleLoad(carrier, narrow(ModuleLoadArgs.Address), narrow(ModuleLoadArgs.Bytes), narrow(ModuleLoadArgs.Slot));
  return fault == ModuleFault.None ? Status.Ok : failWith(Status.ModuleRefused, fault);
}

export function moduleUse(): u32 {
  return host.moduleUse(narrow(ModuleUseArgs.Slot)) ? Status.Ok : failWith(Status.ModuleRefused, ModuleFault.Slot);
}

export function guestSwap(slot: u32): u32 {
  const carrier = arg(GuestSwapArgs.Carrier);
  if (!exists(carrier)) return failWith(Status.NoSuchGuest, carrier);
  const address = narrow(GuestSwapArgs.Address);
  const status = host.guestSwap(slot, narrow(GuestSwapArgs.Slot), <u32>carrier, address, narrow(GuestSwapArgs.Moves));
  if (status == Status.Ok) return status;
  const value = host.module(0, ModuleWord.SwapValue);
  return status == Status.Ended ? failWithTwo(status, host.module(0, ModuleWord.SwapReason), value) : failWith(min(status, 0xffff), value);
}

/** What is no u32 is nothing that the host takes. */
function narrow(index: u32): u32 {
  return <u32>min(arg(index), u32.MAX_VALUE);
}
