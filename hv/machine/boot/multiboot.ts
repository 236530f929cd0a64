// Guest kind multiboot: a kernel with a Multiboot header, version 0.6.96 of the specification: ELF32, or the header's own address fields.
// Started in the state of its section 3.2, with the information of 3.3 in low memory:
//
//   10000  GDT      10100  multiboot information      10200  memory map      10300  modules      10800  texts, up to 20000

import { BootModule } from "../../../protocol/boot";
import { Status } from "../../../protocol/messages";
import { Register } from "../../../protocol/state";
import * as guest from "../guest";
import { setGpr } from "../vcpu";
import { Boot, LOW_MEMORY, moduleWord } from "./block";
import { isElf, openElf } from "./elf";
import { startProtected } from "./registers";
import { Segments } from "./segments";
import { failed } from "./status";

const HEADER_MAGIC: u32 = 0x1badb002;
const BOOT_MAGIC: u64 = 0x2badb002;
/** the header lies in the first bytes of the file */
const SEARCH_BYTES: u64 = 8192;
const HEADER_BYTES: u64 = 12;
const ADDRESS_HEADER_BYTES: u64 = 32;

enum HeaderFlag {
  AlignModules = 1,
  Memory = 2,
  Addresses = 0x10000,
  /** requirements: a loader that does not know one must refuse. Video modes (bit 2) are not to be had. */
  Required = 0xffff,
}

enum Header {
  Flags = 4,
  HeaderAddress = 12,
  LoadAddress = 16,
  LoadEnd = 20,
  BssEnd = 24,
  Entry = 28,
}

enum Info {
  Flags = 0,
  MemoryLower = 4,
  MemoryUpper = 8,
  CommandLine = 16,
  ModuleCount = 20,
  Modules = 24,
  MapBytes = 44,
  Map = 48,
  LoaderName = 64,
  Bytes = 120,
}
/** memory, command line, modules, map, boot loader name */
const INFO_FLAGS: u32 = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 6) | (1 << 9);

const LOW: u64 = 0x10000;
const LOW_BYTES: u64 = 0x10000;
const INFO: u64 = LOW + 0x100;
const MAP: u64 = LOW + 0x200;
const MAP_ENTRY_BYTES: u32 = 24;
const MODULES: u64 = LOW + 0x300;
const TEXTS: u64 = LOW + 0x800;
const EBDA: u64 = 0x9fc00;
const PAGE_MASK: u64 = 0xfff;

export function bootMultiboot(): Status {
  const header = find();
  if (!header) return failed(Status.MultibootNoHeader, Boot.kernelBytes);
  const flags = guest.ramLoad32(header + Header.Flags);
  if (flags & HeaderFlag.Required & ~(HeaderFlag.AlignModules | HeaderFlag.Memory)) return failed(Status.MultibootFlags, flags);
  Segments.keptFrom = LOW;
  Segments.keptBytes = LOW_BYTES;
  const status =
    flags & HeaderFlag.Addresses ? openAddresses(header) : isElf() ? openElf() : failed(Status.ElfBad, guest.ramLoad32(Boot.kernel));
  if (status != Status.Ok) return status;
  for (let module: u32 = 0; module < Boot.modules; module++) {
    const address = moduleWord(module, BootModule.Address);
    if (flags & HeaderFlag.AlignModules && address & PAGE_MASK) return failed(Status.ModuleNoRoom, address);
  }
  const room = textBytes();
  if (room > LOW + LOW_BYTES - TEXTS) return failed(Status.CommandLineTooLong, room);

  information();
  Segments.load();
  startProtected(Segments.entry, 0, LOW);
  setGpr(Register.Rax, BOOT_MAGIC);
  setGpr(Register.Rbx, INFO);
  return Status.Ok;
}

/** Magic, flags and checksum sum to 0; four-byte aligned in the file. 0: not found. */
function find(): u64 {
  const end = Boot.kernelBytes < SEARCH_BYTES ? Boot.kernelBytes : SEARCH_BYTES;
  for (let offset: u64 = 0; offset + HEADER_BYTES <= end; offset += 4) {
    const at = Boot.kernel + offset;
    if (guest.ramLoad32(at) == HEADER_MAGIC && HEADER_MAGIC + guest.ramLoad32(at + 4) + guest.ramLoad32(at + 8) == 0) return at;
  }
  return 0;
}

/** The header's own addresses (3.1.3): one segment from load_addr on; it stands in the file as far before the header as in memory. */
function openAddresses(header: u64): Status {
  const offset = header - Boot.kernel;
  if (offset + ADDRESS_HEADER_BYTES > Boot.kernelBytes) return failed(Status.ElfTruncated, Boot.kernelBytes);
  const address = <u64>guest.ramLoad32(header + Header.LoadAddress);
  const before = <u64>guest.ramLoad32(header + Header.HeaderAddress) - address;
  const loadEnd = <u64>guest.ramLoad32(header + Header.LoadEnd);
  const bssEnd = <u64>guest.ramLoad32(header + Header.BssEnd);
  // A wrapped difference is larger than any offset.
  if (before > offset) return failed(Status.ElfBad, address);
  const from = offset - before;
  if (loadEnd && loadEnd < address) return failed(Status.ElfOverflow, loadEnd);
  const fileBytes = loadEnd ? loadEnd - address : Boot.kernelBytes - from;
  if (bssEnd && bssEnd < address + fileBytes) return failed(Status.ElfOverflow, bssEnd);
  const bytes = bssEnd ? bssEnd - address : fileBytes;
  Segments.clear();
  const status = Segments.add(from, fileBytes, address, bytes);
  if (status != Status.Ok) return status;
  const entry = <u64>guest.ramLoad32(header + Header.Entry);
  // A wrapped difference is larger than any segment.
  if (entry - address >= bytes) return failed(Status.ElfEntryOutside, entry);
  Segments.entry = entry;
  return Status.Ok;
}

/** The command lines and the loader's name, each with its terminator. */
function textBytes(): u64 {
  let bytes = Boot.commandLineBytes + 1 + 6;
  for (let module: u32 = 0; module < Boot.modules; module++) bytes += moduleWord(module, BootModule.NameBytes) + 1;
  return bytes;
}

let texts: u64 = 0;

/** Copies a text with a terminator: where it now is. */
function text(from: u64, bytes: u64): u32 {
  const at = texts;
  guest.ramMove(at, from, bytes);
  guest.ramStore8(at + bytes, 0);
  texts += bytes + 1;
  return <u32>at;
}

function put(field: u32, value: u64): void {
  guest.ramStore32(INFO + field, <u32>value);
}

function information(): void {
  texts = TEXTS;
  guest.ramFill(INFO, 0, Info.Bytes);
  put(Info.Flags, INFO_FLAGS);
  put(Info.MemoryLower, EBDA >> 10);
  put(Info.MemoryUpper, (guest.ramSize() - LOW_MEMORY) >> 10);
  put(Info.CommandLine, text(Boot.commandLine, Boot.commandLineBytes));
  for (let module: u32 = 0; module < Boot.modules; module++) {
    const at = MODULES + (module << 4);
    const address = moduleWord(module, BootModule.Address);
    guest.ramStore32(at, <u32>address);
    guest.ramStore32(at + 4, <u32>(address + moduleWord(module, BootModule.Bytes)));
    guest.ramStore32(at + 8, text(moduleWord(module, BootModule.Name), moduleWord(module, BootModule.NameBytes)));
    guest.ramStore32(at + 12, 0);
  }
  put(Info.ModuleCount, Boot.modules);
  put(Info.Modules, MODULES);
  memoryMap();
  put(Info.LoaderName, texts);
  // "hvkit"
  guest.ramStore64(texts, 0x74696b7668);
}

function memoryMap(): void {
  region(0, 0, EBDA, 1);
  region(1, EBDA, LOW_MEMORY - EBDA, 2);
  region(2, LOW_MEMORY, guest.ramSize() - LOW_MEMORY, 1);
  put(Info.MapBytes, 3 * MAP_ENTRY_BYTES);
  put(Info.Map, MAP);
}

/** An entry's size does not count the size field itself. */
function region(index: u32, address: u64, bytes: u64, type: u32): void {
  const at = MAP + index * MAP_ENTRY_BYTES;
  guest.ramStore32(at, MAP_ENTRY_BYTES - 4);
  guest.ramStore64(at + 4, address);
  guest.ramStore64(at + 12, bytes);
  guest.ramStore32(at + 20, type);
}
