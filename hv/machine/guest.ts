// All that a machine can do: its imports. Each acts on the machine's own guest alone; the instance pointer that wasm2c
// passes is the capability. hv/asm/guest.asm implements and checks them; test/unit/machine has them in TypeScript.
// None traps on a bad argument: loads give all ones, stores are dropped, the rest answers false.

/** Vendor (protocol/messages.ts) of the CPU. */
// @ts-ignore: decorator
@external("guest", "vendor")
export declare function vendor(): u32;

/** Nanoseconds of guest time: 0 at its first entry. Never goes back. */
// @ts-ignore: decorator
@external("guest", "clock")
export declare function clock(): u64;

/** Asks for EventBit.Timer at `deadline` (nanoseconds of clock()); replaces the one before; u64.MAX_VALUE: none. */
// @ts-ignore: decorator
@external("guest", "timer")
export declare function timer(deadline: u64): void;

/** Kilohertz of the guest's TSC. */
// @ts-ignore: decorator
@external("guest", "tscKhz")
export declare function tscKhz(): u32;

/** The physical CPU's CPUID: EAX | EBX << 32, and ECX | EDX << 32. For tables made once, at init. */
// @ts-ignore: decorator
@external("guest", "cpuidAB")
export declare function cpuidAB(leaf: u32, subleaf: u32): u64;
// @ts-ignore: decorator
@external("guest", "cpuidCD")
export declare function cpuidCD(leaf: u32, subleaf: u32): u64;

/** Bytes of guest RAM; it starts at guest-physical 0 and has no holes. */
// @ts-ignore: decorator
@external("guest", "ramSize")
export declare function ramSize(): u64;

/** Guest RAM, by guest-physical address, any alignment. Not wholly inside: loads give all ones, stores do nothing. */
// @ts-ignore: decorator
@external("guest", "ramLoad8")
export declare function ramLoad8(address: u64): u32;
// @ts-ignore: decorator
@external("guest", "ramLoad16")
export declare function ramLoad16(address: u64): u32;
// @ts-ignore: decorator
@external("guest", "ramLoad32")
export declare function ramLoad32(address: u64): u32;
// @ts-ignore: decorator
@external("guest", "ramLoad64")
export declare function ramLoad64(address: u64): u64;
// @ts-ignore: decorator
@external("guest", "ramStore8")
export declare function ramStore8(address: u64, value: u32): void;
// @ts-ignore: decorator
@external("guest", "ramStore16")
export declare function ramStore16(address: u64, value: u32): void;
// @ts-ignore: decorator
@external("guest", "ramStore32")
export declare function ramStore32(address: u64, value: u32): void;
// @ts-ignore: decorator
@external("guest", "ramStore64")
export declare function ramStore64(address: u64, value: u64): void;

/** memmove within guest RAM; false (and nothing done) when either range is not wholly inside. */
// @ts-ignore: decorator
@external("guest", "ramMove")
export declare function ramMove(to: u64, from: u64, bytes: u64): bool;
/** Fills guest RAM with a byte; false (and nothing done) when the range is not wholly inside. */
// @ts-ignore: decorator
@external("guest", "ramFill")
export declare function ramFill(to: u64, value: u32, bytes: u64): bool;

/** A Register or ExitField of protocol/state.ts. General registers and RIP are cheaper in VcpuRecord, and are only there
 *  between an exit and the next entry; read() of them gives the record's. Unknown fields read 0. */
// @ts-ignore: decorator
@external("guest", "read")
export declare function read(field: u32): u64;
/** false: no such field, read only, or a value that the host does not allow (host-owned and reserved bits are never taken over,
 *  a CR0, CR4 or EFER that the CPU would refuse is refused). Writing Cr0 or Efer keeps EFER.LMA and the entry controls in step;
 *  Cr0, Cr3 and Cr4 load the PDPTEs of PAE paging. */
// @ts-ignore: decorator
@external("guest", "write")
export declare function write(field: u32, value: u64): bool;

/** Puts a byte that the guest wrote to UART `port` (0 COM1 and E9h, 1 COM2) into its console ring; false: the ring is full,
 *  the byte is counted as lost, and EventBit.ConsoleRoom will come. */
// @ts-ignore: decorator
@external("guest", "consolePut")
export declare function consolePut(port: u32, byte: u32): bool;
/** Free bytes in the console ring. At 0, EventBit.ConsoleRoom comes when there is room. */
// @ts-ignore: decorator
@external("guest", "consoleRoom")
export declare function consoleRoom(port: u32): u32;
/** The next input byte for UART `port`, or -1. EventBit.ConsoleInput announces new ones. */
// @ts-ignore: decorator
@external("guest", "consoleGet")
export declare function consoleGet(port: u32): i32;

/** Counts an exit by its ExitReason (`hvkit stats`). */
// @ts-ignore: decorator
@external("guest", "count")
export declare function count(reason: u32): void;

/** The guest ends with an EndReason and a value; the machine then returns Verdict.Stop. The first call counts. */
// @ts-ignore: decorator
@external("guest", "end")
export declare function end(reason: u32, value: u64): void;
