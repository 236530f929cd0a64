// The boot block (protocol/boot.ts), read once out of guest RAM and checked: every range that it names lies inside of RAM, so that
// the loaders need not ask again. And the ranges themselves.

import { BootBlock, BootLimit, BootModule } from "../../../protocol/boot";
import { Status } from "../../../protocol/messages";
import * as guest from "../guest";
import { failed } from "./status";

/** Below this the loaders put what they make; files that the control plane brought start above. */
export const LOW_MEMORY: u64 = 0x100000;

export abstract class Boot {
  static kernel: u64 = 0;
  static kernelBytes: u64 = 0;
  static commandLine: u64 = 0;
  static commandLineBytes: u64 = 0;
  static modules: u32 = 0;
  /** where the modules' words are */
  static words: u64 = 0;
}

/** All of `address`, `bytes` is RAM; sums are checked before they are made. */
export function inRam(address: u64, bytes: u64): bool {
  const size = guest.ramSize();
  return address <= size && bytes <= size - address;
}

/** Both ranges do not wrap. */
export function overlap(a: u64, aBytes: u64, b: u64, bBytes: u64): bool {
  return aBytes != 0 && bBytes != 0 && a < b + bBytes && b < a + aBytes;
}

export function moduleWord(module: u32, word: u32): u64 {
  return guest.ramLoad64(Boot.words + ((module * BootModule.Words + word) << 3));
}

export function openBlock(block: u64, bytes: u32): Status {
  if (bytes > <u32>BootLimit.BlockBytes || bytes < (<u32>BootBlock.Words) << 3 || !inRam(block, bytes))
    return failed(Status.BootBlockBad, bytes);
  const magic = word(block, BootBlock.Magic);
  if (magic != BootLimit.Magic) return failed(Status.BootBlockBad, magic);
  Boot.kernel = word(block, BootBlock.Kernel);
  Boot.kernelBytes = word(block, BootBlock.KernelBytes);
  Boot.commandLine = word(block, BootBlock.CommandLine);
  Boot.commandLineBytes = word(block, BootBlock.CommandLineBytes);
  const modules = word(block, BootBlock.Modules);
  if (modules > <u64>BootLimit.Modules) return failed(Status.BootBlockBad, modules);
  Boot.modules = <u32>modules;
  Boot.words = block + (BootBlock.Words << 3);
  if ((BootBlock.Words + modules * BootModule.Words) << 3 > bytes) return failed(Status.BootBlockBad, modules);
  if (Boot.commandLineBytes > <u64>BootLimit.CommandLineBytes) return failed(Status.CommandLineTooLong, Boot.commandLineBytes);
  if (!inRam(Boot.commandLine, Boot.commandLineBytes)) return failed(Status.BootBlockBad, Boot.commandLine);
  if (!inRam(Boot.kernel, Boot.kernelBytes) || Boot.kernel < LOW_MEMORY) return failed(Status.BootBlockBad, Boot.kernel);
  for (let module: u32 = 0; module < Boot.modules; module++) {
    const address = moduleWord(module, BootModule.Address);
    if (!inRam(address, moduleWord(module, BootModule.Bytes)) || address < LOW_MEMORY) return failed(Status.BootBlockBad, address);
    const name = moduleWord(module, BootModule.Name);
    const nameBytes = moduleWord(module, BootModule.NameBytes);
    if (nameBytes > <u64>BootLimit.CommandLineBytes || !inRam(name, nameBytes)) return failed(Status.BootBlockBad, name);
  }
  return Status.Ok;
}

function word(block: u64, index: u32): u64 {
  return guest.ramLoad64(block + (index << 3));
}
