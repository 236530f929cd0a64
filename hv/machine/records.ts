// What the machine itself keeps between exits, besides the devices: flat records in the state region (state.ts gives their addresses).
// Same rules as devices/records.ts: naturally aligned, no references, nothing of the host or of a vendor.

@unmanaged
export class MachineRecord {
  /** the guest executed HLT and waits for an event */
  halted: u8;
  /** an NMI waits */
  nmi: u8;
  /** CpuModel of protocol/messages.ts: its CPUID and MSR policy */
  cpuModel: u8;
  reserved: u8;
  /** an external interrupt whose delivery an exception broke off, in ExitField.Inject's form; 0: none */
  deferred: u32;
}

/** KVM's paravirtual clock (kvmclock.ts). */
@unmanaged
export class KvmClockRecord {
  /** MSR 4B564D00h as written: the wall clock's place in guest RAM */
  wallClock: u64;
  /** MSR 4B564D01h as written: the system time's place in guest RAM, bit 0: enabled */
  systemTime: u64;
  /** seconds since 1970 when guest.clock() was 0 */
  wallSeconds: u64;
}
