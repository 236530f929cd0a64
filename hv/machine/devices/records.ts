// What the devices keep: flat records in the state region (hv/machine/state.ts gives each its address). A snapshot holds these
// bytes as they are, so fields are naturally aligned, little endian, and hold no references and nothing of the host. Numbered
// fields (`cells0`, `cells1`, ...) are an array in pieces: AssemblyScript has no arrays inside an unmanaged class.

/** One 8259A. Bit n of lines, irr, isr, imr and elcr is its input IRn. */
@unmanaged
export class PicRecord {
  /** INT, the output: the master's is what the CPU sees, the slave's is the master's IR2 */
  int: u8;
  /** levels at the inputs */
  lines: u8;
  irr: u8;
  isr: u8;
  imr: u8;
  /** edge/level control register: 1 is level */
  elcr: u8;
  /** ICW2, bits 7:3 of each vector */
  base: u8;
  /** the input with the lowest priority; 7 unless rotated */
  lowest: u8;
  icw1: u8;
  icw4: u8;
  /** the ICW that the next write with A0 = 1 is: 2, 3 or 4; 0: initialized, or never touched */
  expected: u8;
  /** OCW3 RR/RIS: a read with A0 = 0 gives ISR, not IRR */
  readIsr: u8;
  /** OCW3 P: the next read is an interrupt acknowledge */
  poll: u8;
  specialMask: u8;
  rotateOnAeoi: u8;
  reserved: u8;
}

/** One counter of the 8254. Times are ticks of 1193182 Hz since the guest's first entry. */
@unmanaged
export class PitRecord {
  /** the tick at which the counting element was loaded */
  start: u64;
  /** GATE low in modes 0 and 4: ticks counted before */
  held: u64;
  /** modes 2 and 3: the tick at which `next` is loaded */
  turn: u64;
  /** the tick up to which rising edges of OUT were reported */
  seen: u64;
  /** counter 0: ticks that came while the one before was not yet acknowledged, and are still to be given */
  owed: u64;
  /** 1..65536 */
  count: u32;
  /** a count that is written and not yet loaded; 0: none */
  next: u32;
  /** the count latch, in the form that the guest reads */
  latch: u16;
  mode: u8;
  /** the control word's bits 5:0, for read-back */
  control: u8;
  /** Counting of pit.ts */
  state: u8;
  gate: u8;
  /** low byte of a count of which the high byte is still to come */
  low: u8;
  /** 1: the next write is the high byte */
  writeHigh: u8;
  /** 1: the next read is the high byte */
  readHigh: u8;
  /** bytes of the count latch still to be read */
  latched: u8;
  statusLatched: u8;
  status: u8;
}

/** One 16550A, its two FIFOs included. */
@unmanaged
export class UartRecord {
  rx0: u64;
  rx1: u64;
  tx0: u64;
  tx1: u64;
  rxHead: u8;
  rxCount: u8;
  txHead: u8;
  txCount: u8;
  ier: u8;
  fcr: u8;
  lcr: u8;
  mcr: u8;
  /** bits that stick until LSR is read: overrun */
  errors: u8;
  /** bits 3:0, the deltas; 7:4 follow from MCR */
  deltas: u8;
  scratch: u8;
  /** a transmitter-empty interrupt waits to be seen in IIR */
  empty: u8;
  /** the character timeout has passed */
  timeout: u8;
  /** MCR was written: from then on input flows only while RTS is set */
  flowControl: u8;
  /** divisor latch, DLM:DLL */
  divisor: u16;
}

/** The MC146818. Its time is `seconds` at the nanosecond `origin` of guest.clock(), and goes on from there. Seconds count from
 *  the year 0 (proleptic Gregorian), so that every date that the cells can say is positive. */
@unmanaged
export class RtcRecord {
  origin: i64;
  seconds: u64;
  /** the second up to which updates set UF and AF */
  updated: u64;
  /** the second that cells 0..9 and 32h show */
  shown: u64;
  /** the 32768 Hz tick of guest.clock() up to which PF was set */
  ticked: u64;
  /** cells 0..7Fh; registers A..D lie in them too */
  cells0: u64;
  cells1: u64;
  cells2: u64;
  cells3: u64;
  cells4: u64;
  cells5: u64;
  cells6: u64;
  cells7: u64;
  cells8: u64;
  cells9: u64;
  cells10: u64;
  cells11: u64;
  cells12: u64;
  cells13: u64;
  cells14: u64;
  cells15: u64;
  /** port 70h as written: bit 7 masks NMIs */
  index: u8;
}

/** The 8042 without a keyboard behind it. */
@unmanaged
export class KeyboardRecord {
  status: u8;
  /** the byte at port 60h */
  output: u8;
  /** the command byte: bit 0 is the keyboard's interrupt enable */
  command: u8;
  /** a command that waits for its byte at port 60h; 0: none */
  waiting: u8;
  outputPort: u8;
}

@unmanaged
export class Port61Record {
  /** bits 3:0 as written */
  control: u8;
}

@unmanaged
export class DebugRecord {
  /** port 80h: the last power-on self test code */
  post: u8;
}

@unmanaged
export class PowerRecord {
  /** 1: guest.end was called */
  ended: u8;
  /** CF9h as written */
  resetControl: u8;
  /** letters of "Shutdown" that came at port 8900h */
  spelled: u8;
}

/** Deadlines in nanoseconds of guest.clock(), one for each source; u64.MAX_VALUE: none. */
@unmanaged
export class TimersRecord {
  /** what guest.timer was asked for */
  armed: u64;
  pit: u64;
  rtc: u64;
  com1: u64;
  com2: u64;
}
