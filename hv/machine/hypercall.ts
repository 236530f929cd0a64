// VMCALL (Intel) and VMMCALL (AMD): EAX is the number, RAX the result. From any privilege level: none does harm.
//
//   0  nothing: what a round trip costs. RAX = 0
//   1  nanoseconds of guest time since its first entry
//   others: RAX = -1

import { Register } from "../../protocol/state";
import * as guest from "./guest";
import { gpr, setGpr } from "./vcpu";

export enum Hypercall {
  Nothing = 0,
  Clock = 1,
}

export function hypercall(): void {
  const number = <u32>gpr(Register.Rax);
  if (number == Hypercall.Nothing) setGpr(Register.Rax, 0);
  else setGpr(Register.Rax, number == Hypercall.Clock ? guest.clock() : u64.MAX_VALUE);
}
