// The store disk (Bochs' way for bulk): a flat disk whose last sector begins with this, so that the hypervisor never takes a disk of
// somebody's for it. The sectors before it are the store. In QEMU a multiboot module can have the same form, to be read only.
//
// Its first sectors can be a script: Script, the bytes of it, then frames as they would come on the line (protocol/link.ts), a Sync first. The
// hypervisor takes them in place of the line, whose input it does not look at then, and takes for arrived whatever it has sent.

export enum StoreDisk {
  /** "hvki", "tsto": the first eight bytes of the last sector */
  Signature0 = 0x696b7668,
  Signature1 = 0x6f747374,
  /** "hvsc" */
  Script = 0x63737668,
  /** most that a script takes */
  ScriptSectors = 16,
}
