// Guest kind bootsector: 512 bytes at 0:7C00h in real mode, as a BIOS starts them, but with no BIOS behind.
//
//   0000-03FF  interrupt vectors: all to one IRET, so that INT does no harm; those of faults to a halt, since an IRET from a fault
//              comes back to the same instruction for ever
//   0500       the IRET, then CLI; HLT
//   7C00       the sector; the stack grows down from it

import { Status } from "../../../protocol/messages";
import { Register } from "../../../protocol/state";
import * as guest from "../guest";
import { setGpr } from "../vcpu";
import { Boot } from "./block";
import { startReal } from "./registers";
import { failed } from "./status";

const SECTOR_BYTES: u64 = 512;
const SIGNATURE: u32 = 0xaa55;
const SECTOR: u64 = 0x7c00;
const FIRST_DISK: u64 = 0x80;

const STUBS: u64 = 0x500;
/** CF IRET; FA CLI; F4 HLT; EB FD JMP to the HLT */
const STUB_CODE: u64 = 0xfdebf4facf;
const HALT: u32 = 0x501;
/** #DE, #UD, #NM, #SS, #GP */
const FAULTS: u32 = (1 << 0) | (1 << 6) | (1 << 7) | (1 << 12) | (1 << 13);

export function bootBootSector(): Status {
  if (Boot.kernelBytes != SECTOR_BYTES) return failed(Status.BootSectorSize, Boot.kernelBytes);
  const signature = guest.ramLoad16(Boot.kernel + SECTOR_BYTES - 2);
  if (signature != SIGNATURE) return failed(Status.BootSectorNoSignature, signature);
  guest.ramMove(SECTOR, Boot.kernel, SECTOR_BYTES);
  guest.ramStore64(STUBS, STUB_CODE);
  for (let vector: u32 = 0; vector < 256; vector++) {
    const fault = vector < 32 && (FAULTS >>> vector) & 1;
    guest.ramStore32(vector << 2, fault ? HALT : <u32>STUBS);
  }
  startReal(SECTOR, SECTOR);
  setGpr(Register.Rdx, FIRST_DISK);
  return Status.Ok;
}
