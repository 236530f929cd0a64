// A machine module that does what a machine must not do, when its guest asks for it: CPUID with EAX = ATTACK + n (test/guests/attack).
// All else is the product's. Built by `npm run build -- --variant hostile`; test/contract/isolation.test.ts runs it.

import { Layout, VcpuRecord, Verdict } from "../../hv/machine/layout";
import * as product from "../../hv/machine/main";
import { Register } from "../../protocol/state";
import { attack } from "./attacks";
import { badImports, firstGranted, granted, refused } from "./imports";

export { bootValue, event, init, restore } from "../../hv/machine/main";

const ATTACK: u32 = 0x48560000;
const CPUID_BYTES: u64 = 2;
const IMPORTS: u32 = 32;
/** Guest kinds that no machine knows: boot() traps, or stays for ever. */
const TRAP_AT_BOOT: u32 = 0xffff;
const SPIN_AT_BOOT: u32 = 0xfffe;
const SPIN_ATTACK: u32 = 10;

export function boot(kind: u32, block: u64, bytes: u32): u32 {
  if (kind == TRAP_AT_BOOT) unreachable();
  if (kind == SPIN_AT_BOOT) attack(SPIN_ATTACK, 0);
  return product.boot(kind, block, bytes);
}

export function exit(): u32 {
  const leaf = load<u32>(register(Register.Rax));
  if ((leaf & 0xffff0000) != ATTACK) return product.exit();
  if ((leaf & 0xffff) == IMPORTS) {
    badImports();
    store<u64>(register(Register.Rax), refused);
    store<u64>(register(Register.Rbx), granted);
    store<u64>(register(Register.Rdx), firstGranted);
  } else {
    store<u64>(register(Register.Rax), attack(leaf & 0xffff, load<u32>(register(Register.Rbx))));
  }
  const rip = Layout.Region + VcpuRecord.Rip;
  store<u64>(rip, load<u64>(rip) + CPUID_BYTES);
  return Verdict.Resume;
}

function register(index: u32): usize {
  return Layout.Region + VcpuRecord.Gpr + index * 8;
}
