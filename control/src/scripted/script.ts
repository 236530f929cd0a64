// The store of a scripted machine: at its beginning the requests that make and start its guests, as frames on the line; behind them the
// guests' files, which these requests load. Pure. protocol/store.ts describes it.
import { Channel, FrameType, Link } from "../../../protocol/link.js";
import { CpuModel, GuestLimit, Op } from "../../../protocol/messages.js";
import { StoreDisk } from "../../../protocol/store.js";
import { HvkitError } from "../errors.js";
import { encodeMessage } from "../hypervisor/codec.js";
import type { BootPlan } from "../images/plan.js";
import { encodeFrame } from "../link/frame.js";

const SECTOR = GuestLimit.SectorBytes;
const SCRIPT_BYTES = StoreDisk.ScriptSectors * SECTOR;
const HEADER_BYTES = 8;
/** The hypervisor keeps as many that wait, and nobody would send one again. */
const MAX_REQUESTS = 60;
/** Any number: there is one session. */
const EPOCH = 1;

export interface ScriptedGuest {
  memoryBytes: number;
  plan: BootPlan;
}

export interface ScriptedOptions {
  /** what the guests' clocks show at their start, seconds since 1970 */
  wallSeconds: number;
  /** at least so many sectors: of a disk, whole cylinders */
  sectors: (least: number) => number;
}

/** Guest n gets slot n: there is none before. */
export function scriptedStore(guests: readonly ScriptedGuest[], { wallSeconds, sectors }: ScriptedOptions): Buffer {
  const requests: Uint8Array[] = [];
  const request = (op: Op, words: number[]): void => void requests.push(encodeMessage(requests.length + 1, op, words));
  const files: { sector: number; bytes: Uint8Array }[] = [];
  let free: number = StoreDisk.ScriptSectors;
  for (const [slot, { memoryBytes, plan }] of guests.entries()) {
    request(Op.GuestCreate, [memoryBytes, wallSeconds, CpuModel.Host, 0, 0]);
    for (const { address, bytes } of plan.placements) {
      files.push({ sector: free, bytes });
      request(Op.GuestLoad, [slot, address, free, bytes.length]);
      free += Math.ceil(bytes.length / SECTOR);
    }
    request(Op.GuestStart, [slot, plan.kind, plan.block, plan.blockBytes, 0]);
  }
  const script = frames(requests);
  if (requests.length > MAX_REQUESTS || script.length > SCRIPT_BYTES - HEADER_BYTES) {
    throw new HvkitError("E_SCRIPT_TOO_LONG", `${guests.length} guests with ${files.length} files are too many for one script`, {
      hint: "Give fewer guests, or fewer files with --add.",
      data: { requests: requests.length, most: MAX_REQUESTS },
    });
  }
  const all = sectors(free + 1);
  const store = Buffer.alloc(all * SECTOR);
  store.writeUInt32LE(StoreDisk.Script, 0);
  store.writeUInt32LE(script.length, 4);
  store.set(script, HEADER_BYTES);
  for (const { sector, bytes } of files) store.set(bytes, sector * SECTOR);
  store.writeUInt32LE(StoreDisk.Signature0, (all - 1) * SECTOR);
  store.writeUInt32LE(StoreDisk.Signature1, (all - 1) * SECTOR + 4);
  return store;
}

/** A Sync, then a Data frame for each. */
function frames(requests: readonly Uint8Array[]): Buffer {
  const sync = new Uint8Array(8);
  const view = new DataView(sync.buffer);
  view.setUint32(0, Link.Version, true);
  view.setUint32(4, EPOCH, true);
  const none = { seq: 0, ack: 0, channel: Channel.Request, credit: Link.Window };
  return Buffer.concat([
    encodeFrame({ ...none, type: FrameType.Sync, payload: sync }),
    ...requests.map((payload, index) => encodeFrame({ ...none, type: FrameType.Data, seq: index & 255, payload })),
  ]);
}
