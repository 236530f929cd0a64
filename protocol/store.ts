// The store disk (Bochs' way for bulk): a flat disk whose last sector begins with this, so that the hypervisor never takes a disk of
// somebody's for it. The sectors before it are the store.

export enum StoreDisk {
  /** "hvki", "tsto": the first eight bytes of the last sector */
  Signature0 = 0x696b7668,
  Signature1 = 0x6f747374,
}
