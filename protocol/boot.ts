// The boot block: what the control plane leaves in a guest's RAM for hv/machine/boot, little endian u64 words, then text.
// All addresses are guest-physical. The machine copies what it needs and may overwrite the block afterwards.

export enum BootBlock {
  Magic = 0,
  /** the kernel (bzImage, ELF32 or 512-byte sector), a whole file */
  Kernel = 1,
  KernelBytes = 2,
  /** command line, no terminator counted; UTF-8 */
  CommandLine = 3,
  CommandLineBytes = 4,
  /** an initrd for linux, modules for multiboot: their count; each is BootModule words, from word Words on */
  Modules = 5,
  Words = 6,
}

export enum BootModule {
  Address = 0,
  Bytes = 1,
  /** the module's command line */
  Name = 2,
  NameBytes = 3,
  Words = 4,
}

export enum BootLimit {
  /** "hvbt" */
  Magic = 0x74627668,
  Modules = 16,
  CommandLineBytes = 2047,
  BlockBytes = 65536,
}
