// Machine modules in the hypervisor: which there are, one more, and a guest that goes over to another. One method for each Op, as client.ts, of which
// it is a part.
import { Op } from "../../../protocol/messages.js";
import { GuestSwapArgs, ModuleHeader, ModuleLimit, ModulesReply, ModuleWord, SwapMove } from "../../../protocol/module.js";
import type { StateCalls } from "./state.js";

/** A place for a module. */
export interface ModulePlace {
  slot: number;
  address: number;
  /** guests that run on it */
  guests: number;
  /** new guests start on it */
  current: boolean;
  /** undefined: there is none */
  identity: string | undefined;
}

export interface ModulesInfo {
  /** identity of all that a module must fit */
  base: string;
  places: ModulePlace[];
}

/** A module's own words about what it is: nothing of it is believed but by who made it. */
export interface ModuleInfo {
  base: string;
  identity: string;
  address: number;
}

/** Of the state region, as snapshot/moves.ts finds it; `to` undefined: it must be 0. */
export interface RegionMove {
  from: number;
  to: number | undefined;
  bytes: number;
}

export interface ModuleCalls {
  modules(): Promise<ModulesInfo>;
  /** out of the RAM of a guest that is not started: the carrier */
  moduleLoad(carrier: number, address: number, bytes: number, slot: number): Promise<void>;
  moduleUse(slot: number): Promise<void>;
  /** `address`, in the carrier's RAM: ModuleLimit.SwapRoom bytes, then `moves` as encodeMoves() has them */
  guestSwap(guest: number, slot: number, carrier: number, address: number, moves: number): Promise<void>;
}

export class RemoteModules implements ModuleCalls {
  constructor(private readonly calls: Pick<StateCalls, "request">) {}

  async modules(): Promise<ModulesInfo> {
    const reply = await this.calls.request(Op.Modules, []);
    const text = (index: number): string => ascii([reply.word(index), reply.word(index + 1)]);
    const places = Array.from({ length: ModuleLimit.Slots }, (_, slot): ModulePlace => {
      const at = ModulesReply.Words + slot * ModuleWord.Words;
      return {
        slot,
        address: reply.number(at + ModuleWord.Address),
        guests: reply.number(at + ModuleWord.Guests),
        current: reply.word(at + ModuleWord.Current) !== 0n,
        identity: reply.word(at + ModuleWord.IdentityLow) === 0n ? undefined : text(at + ModuleWord.IdentityLow),
      };
    });
    return { base: text(ModulesReply.BaseLow), places };
  }

  async moduleLoad(carrier: number, address: number, bytes: number, slot: number): Promise<void> {
    await this.calls.request(Op.ModuleLoad, [carrier, address, bytes, slot]);
  }

  async moduleUse(slot: number): Promise<void> {
    await this.calls.request(Op.ModuleUse, [slot]);
  }

  async guestSwap(guest: number, slot: number, carrier: number, address: number, moves: number): Promise<void> {
    const words = new Array<number>(GuestSwapArgs.Words).fill(0);
    words[GuestSwapArgs.Guest] = guest;
    words[GuestSwapArgs.Slot] = slot;
    words[GuestSwapArgs.Carrier] = carrier;
    words[GuestSwapArgs.Address] = address;
    words[GuestSwapArgs.Moves] = moves;
    await this.calls.request(Op.GuestSwap, words);
  }
}

/** In the form of SwapMove. */
export function encodeMoves(moves: readonly RegionMove[]): Uint8Array {
  const bytes = Buffer.alloc(8 * moves.length);
  moves.forEach(({ from, to, bytes: count }, index) => {
    bytes.writeUInt16LE(from, 8 * index + SwapMove.From / 8);
    bytes.writeUInt16LE(to ?? SwapMove.Nowhere, 8 * index + SwapMove.To / 8);
    bytes.writeUInt16LE(count, 8 * index + SwapMove.Bytes / 8);
  });
  return bytes;
}

/** What the header says; undefined: it is none. */
export function readModule(module: Uint8Array): ModuleInfo | undefined {
  const bytes = Buffer.from(module.buffer, module.byteOffset, module.byteLength);
  if (bytes.length < ModuleHeader.End || bytes.readBigUInt64LE(ModuleHeader.Magic) !== BigInt(ModuleLimit.Magic)) return undefined;
  const text = (at: number): string => bytes.toString("latin1", at, at + ModuleLimit.IdentityBytes);
  return {
    base: text(ModuleHeader.Base),
    identity: text(ModuleHeader.Identity),
    address: Number(bytes.readBigUInt64LE(ModuleHeader.Start)),
  };
}

function ascii(words: readonly bigint[]): string {
  const bytes = Buffer.alloc(8 * words.length);
  for (const [index, word] of words.entries()) bytes.writeBigUInt64LE(word, 8 * index);
  return bytes.toString("latin1");
}
