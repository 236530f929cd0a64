// Where core's data lies in its linear memory: all of it is here, fixed at compile time, and nothing is allocated. Each area has one
// owner, the file named beside it. The compiler places them after --memoryBase, without overlap.

import { Link } from "../../protocol/link";
import { GuestLimit } from "../../protocol/messages";

export enum Size {
  /** 2 MiB blocks: 64 GiB of RAM */
  Blocks = 32768,
  /** a frame with header and CRC, rounded up */
  Slot = 672,
  /** requests that wait: more than a control plane has open at once */
  Inbox = 64,
  SerialChunk = 1024,
  /** a frame, encoded */
  Wire = 680,
  /** four lanes and a tail shorter than a stripe */
  Digest = 64,
  Bounce = 512,
  GuestRecord = 24,
}

/** frames.ts: a BlockKind each */
export const BLOCK_KINDS: usize = memory.data(Size.Blocks);
/** frames.ts: the next block of the same guest, u16 each */
export const BLOCK_NEXT: usize = memory.data(Size.Blocks * 2);
/** guests.ts: a GuestRecord each */
export const GUESTS: usize = memory.data(GuestLimit.Slots * Size.GuestRecord);
/** inbox.ts */
export const INBOX: usize = memory.data(Size.Inbox * Size.Slot);
/** inbox.ts: bytes of each frame, u32 */
export const INBOX_BYTES: usize = memory.data(Size.Inbox * 4);
/** link.ts: Data frames in flight */
export const OUTBOX: usize = memory.data(Link.Window * Size.Slot);
/** link.ts: bytes of each payload, u32 */
export const OUTBOX_BYTES: usize = memory.data(Link.Window * 4);
/** link.ts: when each of them was sent last, u32 */
export const OUTBOX_TURN: usize = memory.data(Link.Window * 4);
/** link.ts: Data frames that came in and have not had their turn */
export const HELD: usize = memory.data(Link.Window * Size.Slot);
/** link.ts: bytes of each of them, header and CRC included, u32; 0: none */
export const HELD_BYTES: usize = memory.data(Link.Window * 4);
/** link.ts: frames without a number */
export const CONTROL: usize = memory.data(32);
/** frame.ts */
export const WIRE: usize = memory.data(Size.Wire);
/** receive.ts: the frame that is coming in */
export const INCOMING: usize = memory.data(Size.Slot);
/** receive.ts */
export const SERIAL: usize = memory.data(Size.SerialChunk);
/** digest.ts */
export const DIGEST: usize = memory.data(Size.Digest);
/** store.ts */
export const BOUNCE_KEPT: usize = memory.data(Size.Bounce);
export const BOUNCE: usize = memory.data(Size.Bounce);
/** clone.ts */
export const ENTROPY: usize = memory.data(GuestLimit.EntropyBytes);
