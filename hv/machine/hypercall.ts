// VMCALL (Intel) and VMMCALL (AMD): EAX is the number, RAX the result. From any privilege level: none does harm.
//
//   0  nothing: what a round trip costs. RAX = 0
//   1  nanoseconds of guest time since its first entry
//   2  which copy it is (GuestStatReply.Generation of protocol/messages.ts): when it differs from what it was, the guest is another one than before
//   3  in RAX, RBX, RCX and RDX, once: entropy that this copy alone was given; zeros when it was read already, or never given
//   others: RAX = -1

import { Register } from "../../protocol/state";
import * as guest from "./guest";
import { CopyRecord, Layout } from "./layout";
import { gpr, setGpr } from "./vcpu";

export enum Hypercall {
  Nothing = 0,
  Clock = 1,
  Generation = 2,
  Entropy = 3,
}

export function hypercall(): void {
  switch (<u32>gpr(Register.Rax)) {
    case Hypercall.Nothing:
      setGpr(Register.Rax, 0);
      return;
    case Hypercall.Clock:
      setGpr(Register.Rax, guest.clock());
      return;
    case Hypercall.Generation:
      setGpr(Register.Rax, load<u64>(Layout.Copy + CopyRecord.Generation));
      return;
    case Hypercall.Entropy:
      setGpr(Register.Rax, takeEntropy(0));
      setGpr(Register.Rbx, takeEntropy(8));
      setGpr(Register.Rcx, takeEntropy(16));
      setGpr(Register.Rdx, takeEntropy(24));
      return;
    default:
      setGpr(Register.Rax, u64.MAX_VALUE);
  }
}

function takeEntropy(offset: u32): u64 {
  const at: usize = Layout.Copy + CopyRecord.Entropy + offset;
  const word = load<u64>(at);
  store<u64>(at, 0);
  return word;
}
