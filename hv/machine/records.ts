// What the machine itself keeps between exits, besides the devices: a flat record in the state region (state.ts gives its address).
// Same rules as devices/records.ts: naturally aligned, no references, nothing of the host or of a vendor.

@unmanaged
export class MachineRecord {
  /** the guest executed HLT and waits for an event */
  halted: u8;
  /** an NMI waits */
  nmi: u8;
  reserved: u16;
  /** an external interrupt whose delivery an exception broke off, in ExitField.Inject's form; 0: none */
  deferred: u32;
}
