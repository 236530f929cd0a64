// What a kernel file wants loaded where: collected and checked first, loaded then. The list lies above the state region: a boot
// rebuilds it.

import { BootModule } from "../../../protocol/boot";
import { Status } from "../../../protocol/messages";
import { Table } from "../exit";
import * as guest from "../guest";
import { Boot, inRam, moduleWord, overlap } from "./block";
import { failed } from "./status";

const MAX_SEGMENTS: u32 = 16;
const ADDRESS_SPACE: u64 = 0x100000000;

/** u64 each */
enum Segment {
  File = 0,
  FileBytes = 8,
  Address = 16,
  Bytes = 24,
  Size = 32,
}

export abstract class Segments {
  static count: u32 = 0;
  static entry: u64 = 0;
  /** low memory that the loader keeps for itself */
  static keptFrom: u64 = 0;
  static keptBytes: u64 = 0;

  static clear(): void {
    Segments.count = 0;
    Segments.entry = 0;
  }

  /** `offset`, `fileBytes` in the kernel file go to `address`, zeros up to `bytes`. All below 2^32: sums do not wrap. */
  static add(offset: u64, fileBytes: u64, address: u64, bytes: u64): Status {
    if (fileBytes > bytes) return failed(Status.ElfBad, fileBytes);
    if (offset + fileBytes > Boot.kernelBytes) return failed(Status.ElfTruncated, offset + fileBytes);
    if (address + bytes > ADDRESS_SPACE) return failed(Status.ElfOverflow, address);
    if (!inRam(address, bytes)) return failed(Status.ElfNoRoom, address + bytes);
    if (Segments.touches(address, bytes)) return failed(Status.ElfOverlap, address);
    if (Segments.count == MAX_SEGMENTS) return failed(Status.ElfBad, Segments.count);
    const at = row(Segments.count++);
    store<u64>(at, Boot.kernel + offset, Segment.File);
    store<u64>(at, fileBytes, Segment.FileBytes);
    store<u64>(at, address, Segment.Address);
    store<u64>(at, bytes, Segment.Bytes);
    return Status.Ok;
  }

  /** The range meets another segment, the kernel file, a module, the command line, or what the loader keeps. */
  static touches(address: u64, bytes: u64): bool {
    if (overlap(address, bytes, Segments.keptFrom, Segments.keptBytes)) return true;
    if (overlap(address, bytes, Boot.kernel, Boot.kernelBytes)) return true;
    if (overlap(address, bytes, Boot.commandLine, Boot.commandLineBytes)) return true;
    for (let module: u32 = 0; module < Boot.modules; module++) {
      if (overlap(address, bytes, moduleWord(module, BootModule.Address), moduleWord(module, BootModule.Bytes))) return true;
      if (overlap(address, bytes, moduleWord(module, BootModule.Name), moduleWord(module, BootModule.NameBytes))) return true;
    }
    for (let index: u32 = 0; index < Segments.count; index++) {
      if (overlap(address, bytes, load<u64>(row(index), Segment.Address), load<u64>(row(index), Segment.Bytes))) return true;
    }
    return false;
  }

  static load(): void {
    for (let index: u32 = 0; index < Segments.count; index++) {
      const address = load<u64>(row(index), Segment.Address);
      const fileBytes = load<u64>(row(index), Segment.FileBytes);
      guest.ramMove(address, load<u64>(row(index), Segment.File), fileBytes);
      guest.ramFill(address + fileBytes, 0, load<u64>(row(index), Segment.Bytes) - fileBytes);
    }
  }
}

function row(index: u32): usize {
  return Table.Segments + index * Segment.Size;
}
