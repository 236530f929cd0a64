// A guest's state besides its RAM, as a snapshot holds it: neutral numbers, no vendor's encoding. hypervisor/client.ts reads it from a
// paused guest and gives it to one that was created and not started; snapshot/ writes it to a file.

/** What a guest's CPUID answers: one row of its table. */
export interface CpuidRow {
  leaf: number;
  subleaf: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** `portable`: what both vendors' engines can give; `host`: what this host has. */
export type CpuModel = "portable" | "host";

export interface SavedState {
  /** a value for each Register of protocol/state.ts, in its order */
  registers: bigint[];
  /** ExitField.Inject and InjectLength: the event that the next entry delivers */
  inject: bigint;
  injectLength: number;
  /** it waits in HLT */
  halted: boolean;
  /** EventBit bits (hv/machine/layout.ts) that the machine was not told yet */
  events: number;
  /** nanoseconds of guest time */
  clockNs: bigint;
  /** the rate of its TSC, kilohertz */
  tscKhz: number;
  cpuModel: CpuModel;
  cpuid: CpuidRow[];
  /** XSAVE area, standard form (legacy 512 bytes, header 64, then AVX 256 at offset 576); legacy part alone without XSAVE */
  fpu: Uint8Array;
  /** the machine's state region, from Layout.Region to the end of its last record */
  region: Uint8Array;
  /** bytes in the console rings that nobody has taken yet: input that the guest has not read, by UART */
  consoleInput: [Uint8Array, Uint8Array];
}

/** The machine around the vCPU of a guest in whatever state. */
export interface GuestMachineInfo {
  /** the event that the next entry delivers, in ExitField.Inject's form */
  inject: bigint;
  halted: boolean;
  /** EventBit bits (hv/machine/layout.ts) that the machine was not told yet */
  events: number;
  /** of the guest's time */
  clockNs: bigint;
  tsc: bigint;
  tscKhz: number;
  /** bytes of console input that it has not read, COM1 and COM2 */
  inputBytes: [number, number];
  /** the state region, from its start to the end of its last record */
  region: Uint8Array;
}
