// Guest kind linux: a bzImage that lies in RAM as a file, started in place at its 64-bit entry (Documentation/arch/x86/boot.rst, boot
// protocol 2.12 or later). The kernel's own decompressor moves it to where it wants to run.
//
//   1000  GDT                   2000  zero page (struct boot_params)      3000  command line
//   4000  PML4, 5000 PDPT, 6000-9FFF page directories: 4 GiB, identity    all of it free to the kernel once it runs

import { BootModule } from "../../../protocol/boot";
import { Status } from "../../../protocol/messages";
import { Register } from "../../../protocol/state";
import * as guest from "../guest";
import { setGpr } from "../vcpu";
import { Boot, LOW_MEMORY, moduleWord, overlap } from "./block";
import { startLong } from "./registers";
import { failed } from "./status";

const GDT: u64 = 0x1000;
const ZERO_PAGE: u64 = 0x2000;
const COMMAND_LINE: u64 = 0x3000;
const PAGE_TABLES: u64 = 0x4000;
const PAGE: u64 = 0x1000;
/** where conventional memory ends and a BIOS would have its data area */
const EBDA: u64 = 0x9fc00;

/** The setup header: offsets in the file and in the zero page alike. */
enum Header {
  SetupSects = 0x1f1,
  Syssize = 0x1f4,
  /** its low byte is the header's end, counted from 202h */
  Jump = 0x200,
  Magic = 0x202,
  Version = 0x206,
  TypeOfLoader = 0x210,
  Code32Start = 0x214,
  RamdiskImage = 0x218,
  RamdiskSize = 0x21c,
  CmdLinePtr = 0x228,
  InitrdAddrMax = 0x22c,
  KernelAlignment = 0x230,
  Relocatable = 0x234,
  Xloadflags = 0x236,
  CmdlineSize = 0x238,
  PrefAddress = 0x258,
  InitSize = 0x260,
  /** what the fields above need */
  Bytes = 0x264,
  /** the zero page has room up to here */
  End = 0x290,
}
const E820_ENTRIES: u64 = ZERO_PAGE + 0x1e8;
const E820_TABLE: u64 = ZERO_PAGE + 0x2d0;
const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;

const HDRS: u32 = 0x53726448;
const VERSION_2_12: u32 = 0x20c;
const XLF_KERNEL_64: u32 = 1;
const XLF_CAN_BE_LOADED_ABOVE_4G: u32 = 2;
/** a loader without a number of its own */
const LOADER_UNDEFINED: u32 = 0xff;
const SECTOR: u64 = 512;
const ENTRY_64: u64 = 0x200;

export function bootLinux(): Status {
  const file = Boot.kernel;
  const bytes = Boot.kernelBytes;
  if (bytes < <u64>Header.Bytes) return failed(Status.LinuxTruncated, bytes);
  const magic = guest.ramLoad32(file + Header.Magic);
  if (magic != HDRS) return failed(Status.LinuxNoMagic, magic);
  const version = guest.ramLoad16(file + Header.Version);
  if (version < VERSION_2_12) return failed(Status.LinuxTooOld, version);
  const flags = guest.ramLoad16(file + Header.Xloadflags);
  if (!(flags & XLF_KERNEL_64)) return failed(Status.LinuxNot64Bit, flags);
  const sectors = guest.ramLoad8(file + Header.SetupSects);
  // 0 means 4, for kernels of the last century.
  const setup = (<u64>(sectors ? sectors : 4) + 1) * SECTOR;
  // The protected-mode code, in paragraphs of 16 bytes; a signature may follow it.
  const end = setup + ((<u64>guest.ramLoad32(file + Header.Syssize)) << 4);
  if (setup + ENTRY_64 >= bytes || end > bytes) return failed(Status.LinuxTruncated, bytes);

  const start = runAddress(file + setup);
  const size = <u64>guest.ramLoad32(file + Header.InitSize);
  if (start > guest.ramSize() || size > guest.ramSize() - start) return failed(Status.LinuxNoRoom, start + size);
  if (Boot.commandLineBytes > guest.ramLoad32(file + Header.CmdlineSize)) return failed(Status.CommandLineTooLong, Boot.commandLineBytes);
  if (Boot.modules > 1) return failed(Status.BootBlockBad, Boot.modules);
  const initrd = Boot.modules ? moduleWord(0, BootModule.Address) : 0;
  const initrdBytes = Boot.modules ? moduleWord(0, BootModule.Bytes) : 0;
  const highest = flags & XLF_CAN_BE_LOADED_ABOVE_4G ? u64.MAX_VALUE : <u64>guest.ramLoad32(file + Header.InitrdAddrMax);
  const misplaced = overlap(initrd, initrdBytes, start, size) || overlap(initrd, initrdBytes, file, bytes);
  if (misplaced || initrd + initrdBytes > highest) return failed(Status.InitrdNoRoom, initrd);

  // Nothing of the block is read after this: it may lie where these go.
  commandLine();
  zeroPage(file, file + setup, initrd, initrdBytes);
  memoryMap();
  pageTables();
  startLong(file + setup + ENTRY_64, 0, GDT, PAGE_TABLES);
  setGpr(Register.Rsi, ZERO_PAGE);
  return Status.Ok;
}

/** Where the kernel will run: as its decompressor computes it from where it was loaded. */
function runAddress(load: u64): u64 {
  const preferred = guest.ramLoad64(Boot.kernel + Header.PrefAddress);
  if (!guest.ramLoad8(Boot.kernel + Header.Relocatable)) return preferred;
  const alignment = <u64>guest.ramLoad32(Boot.kernel + Header.KernelAlignment);
  const aligned = alignment ? ((load + alignment - 1) / alignment) * alignment : load;
  return max<u64>(aligned, preferred);
}

function commandLine(): void {
  guest.ramMove(COMMAND_LINE, Boot.commandLine, Boot.commandLineBytes);
  guest.ramStore8(COMMAND_LINE + Boot.commandLineBytes, 0);
}

/** All zeros but for the kernel's own header, and what a boot loader fills in. */
function zeroPage(file: u64, code: u64, initrd: u64, initrdBytes: u64): void {
  guest.ramFill(ZERO_PAGE, 0, PAGE);
  const end = Header.Magic + guest.ramLoad8(file + Header.Jump + 1);
  const header = min<u32>(end, Header.End) - Header.SetupSects;
  guest.ramMove(ZERO_PAGE + Header.SetupSects, file + Header.SetupSects, header);
  guest.ramStore8(ZERO_PAGE + Header.TypeOfLoader, LOADER_UNDEFINED);
  guest.ramStore32(ZERO_PAGE + Header.Code32Start, <u32>code);
  guest.ramStore32(ZERO_PAGE + Header.RamdiskImage, <u32>initrd);
  guest.ramStore32(ZERO_PAGE + Header.RamdiskSize, <u32>initrdBytes);
  guest.ramStore32(ZERO_PAGE + Header.CmdLinePtr, <u32>COMMAND_LINE);
}

function memoryMap(): void {
  region(0, 0, EBDA, E820_RAM);
  region(1, EBDA, LOW_MEMORY - EBDA, E820_RESERVED);
  region(2, LOW_MEMORY, guest.ramSize() - LOW_MEMORY, E820_RAM);
  guest.ramStore8(E820_ENTRIES, 3);
}

function region(index: u32, address: u64, bytes: u64, type: u32): void {
  const at = E820_TABLE + index * 20;
  guest.ramStore64(at, address);
  guest.ramStore64(at + 8, bytes);
  guest.ramStore32(at + 16, type);
}

/** PML4, PDPT and four page directories of 2 MiB pages: present, writable. */
function pageTables(): void {
  guest.ramFill(PAGE_TABLES, 0, 2 * PAGE);
  const pdpt = PAGE_TABLES + PAGE;
  const directories = pdpt + PAGE;
  guest.ramStore64(PAGE_TABLES, pdpt | 3);
  for (let index: u64 = 0; index < 4; index++) guest.ramStore64(pdpt + (index << 3), (directories + index * PAGE) | 3);
  for (let index: u64 = 0; index < 2048; index++) guest.ramStore64(directories + (index << 3), (index << 21) | 0x83);
}
