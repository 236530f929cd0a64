// What a debugger asks of the hypervisor, besides what everyone does: its wishes for the next run, and changes of a guest that is paused.
// One method for each Op, as client.ts, of which it is a part.
import { GuestDebugArgs } from "../../../protocol/debug.js";
import { GuestEntryReply, GuestLimit, GuestPart, GuestPartArgs, GuestWriteArgs, Op } from "../../../protocol/messages.js";
import type { ExitField, Register } from "../../../protocol/state.js";
import { type Message, roomBeside } from "./codec.js";
import type { StateCalls } from "./state.js";

/** Op.GuestDebug */
export interface DebugWish {
  /** DebugFlag bits below Given */
  flags: number;
  /** linear, DR0 to DR3 */
  addresses: readonly bigint[];
  dr7: number;
}

/** What the next entry finds. */
export interface PendingEntry {
  /** as ExitField.Inject */
  inject: bigint;
  halted: boolean;
}

/** FXSAVE's area is in all of them; with XSAVE its header and AVX follow. */
export interface DebuggerCalls {
  guestDebug(guest: number, wish: DebugWish): Promise<void>;
  guestRegistersWrite(guest: number, values: readonly (readonly [Register | ExitField, bigint])[]): Promise<void>;
  guestPending(guest: number): Promise<PendingEntry>;
  guestFpu(guest: number): Promise<Uint8Array>;
  guestFpuWrite(guest: number, fpu: Uint8Array): Promise<void>;
  /** Bytes by the hypervisor's own hand, at any place: what the CPU may have decoded before is decoded anew. (QEMU does not see what is
   *  written into its window.) */
  guestStore(guest: number, address: number, bytes: Uint8Array): Promise<void>;
}

const PAIRS = Math.floor((roomBeside(1) - 16) / 16);
const WRITE_BYTES = roomBeside(GuestWriteArgs.Words);
const PART_BYTES = roomBeside(GuestPartArgs.Words);

export class RemoteDebugger implements DebuggerCalls {
  constructor(private readonly calls: Pick<StateCalls, "request">) {}

  async guestDebug(guest: number, { flags, addresses, dr7 }: DebugWish): Promise<void> {
    const dr = Array.from({ length: GuestDebugArgs.Dr7 - GuestDebugArgs.Dr0 }, (_, index) => addresses[index] ?? 0n);
    await this.calls.request(Op.GuestDebug, [guest, flags, ...dr, dr7]);
  }

  async guestRegistersWrite(guest: number, values: readonly (readonly [Register | ExitField, bigint])[]): Promise<void> {
    for (let at = 0; at < values.length; at += PAIRS) {
      const pairs = values.slice(at, at + PAIRS).flatMap(([register, value]) => [BigInt(register), value]);
      await this.calls.request(Op.GuestRegistersWrite, [guest, ...pairs]);
    }
  }

  async guestPending(guest: number): Promise<PendingEntry> {
    const entry = await this.calls.request(Op.GuestEntry, [guest]);
    return { inject: entry.word(GuestEntryReply.Inject), halted: entry.number(GuestEntryReply.Halted) !== 0 };
  }

  async guestFpu(guest: number): Promise<Uint8Array> {
    const parts: Message[] = [];
    for (let at = 0; at < GuestLimit.FpuBytes; at += GuestLimit.ReadBytes) {
      const size = Math.min(GuestLimit.ReadBytes, GuestLimit.FpuBytes - at);
      parts.push(await this.calls.request(Op.GuestPartRead, [guest, GuestPart.Fpu, at, size]));
    }
    return Buffer.concat(parts.map((part) => part.bytes(0)));
  }

  async guestFpuWrite(guest: number, fpu: Uint8Array): Promise<void> {
    for (let at = 0; at < fpu.length; at += PART_BYTES) {
      await this.calls.request(Op.GuestPartWrite, [guest, GuestPart.Fpu, at], fpu.subarray(at, at + PART_BYTES));
    }
  }

  async guestStore(guest: number, address: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) {
      await this.calls.request(Op.GuestWrite, [guest, address + at], bytes.subarray(at, at + WRITE_BYTES));
    }
  }
}
