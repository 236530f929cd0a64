// ELF32 for i386, as multiboot kernels are: checks the whole file, then loads it. Nothing is written before all is checked.

import { Status } from "../../../protocol/messages";
import * as guest from "../guest";
import { Boot } from "./block";
import { Segments } from "./segments";
import { failed } from "./status";

const ELF_MAGIC: u32 = 0x464c457f;
/** ELFCLASS32, ELFDATA2LSB */
const CLASS_AND_DATA: u32 = 0x0101;
const ET_EXEC: u32 = 2;
const EM_386: u32 = 3;
const PT_LOAD: u32 = 1;
const HEADER_BYTES: u64 = 52;
const PROGRAM_HEADER_BYTES: u64 = 32;

enum Ehdr {
  Class = 4,
  Type = 16,
  Machine = 18,
  Entry = 24,
  Phoff = 28,
  Phentsize = 42,
  Phnum = 44,
}
enum Phdr {
  Type = 0,
  Offset = 4,
  Vaddr = 8,
  Paddr = 12,
  Filesz = 16,
  Memsz = 20,
}

export function isElf(): bool {
  return Boot.kernelBytes >= 4 && guest.ramLoad32(Boot.kernel) == ELF_MAGIC;
}

/** Checks the file and fills Segments. Segments.entry is physical. */
export function openElf(): Status {
  const file = Boot.kernel;
  if (Boot.kernelBytes < HEADER_BYTES) return failed(Status.ElfTruncated, Boot.kernelBytes);
  const kind = guest.ramLoad16(file + Ehdr.Class);
  if (kind != CLASS_AND_DATA) return failed(Status.ElfBad, kind);
  const type = guest.ramLoad16(file + Ehdr.Type);
  if (type != ET_EXEC) return failed(Status.ElfBad, type);
  const machine = guest.ramLoad16(file + Ehdr.Machine);
  if (machine != EM_386) return failed(Status.ElfBad, machine);
  const size = <u64>guest.ramLoad16(file + Ehdr.Phentsize);
  if (size < PROGRAM_HEADER_BYTES) return failed(Status.ElfBad, size);
  const table = <u64>guest.ramLoad32(file + Ehdr.Phoff);
  const count = <u64>guest.ramLoad16(file + Ehdr.Phnum);
  if (table + count * size > Boot.kernelBytes) return failed(Status.ElfTruncated, table + count * size);

  const entry = <u64>guest.ramLoad32(file + Ehdr.Entry);
  let found = false;
  Segments.clear();
  for (let index: u64 = 0; index < count; index++) {
    const at = file + table + index * size;
    if (guest.ramLoad32(at) != PT_LOAD) continue;
    const memory = <u64>guest.ramLoad32(at + Phdr.Memsz);
    if (memory == 0) continue;
    const address = <u64>guest.ramLoad32(at + Phdr.Paddr);
    const status = Segments.add(guest.ramLoad32(at + Phdr.Offset), guest.ramLoad32(at + Phdr.Filesz), address, memory);
    if (status != Status.Ok) return status;
    // The entry is an address as the kernel is linked; segments are loaded at their physical one.
    const linked = <u64>guest.ramLoad32(at + Phdr.Vaddr);
    if (!found && entry >= linked && entry - linked < memory) {
      Segments.entry = address + (entry - linked);
      found = true;
    }
  }
  return found ? Status.Ok : failed(Status.ElfEntryOutside, entry);
}
