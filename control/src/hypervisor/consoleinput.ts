// Console input for guests, without loss: a guest's ring takes what it has room for, and the hypervisor tells what it had to drop
// (Event.ConsoleInputLost). One piece of input is under way for each port; what was dropped of it is sent again. Used by client.
import { Link } from "../../../protocol/link.js";
import { HvkitError } from "../errors.js";

export interface ConsoleInputOptions {
  /** sends a piece; resolves when the hypervisor has taken or dropped it, and has told so */
  send: (guest: number, port: number, bytes: Uint8Array, settle: boolean) => Promise<void>;
  /** milliseconds without a byte taken that count as a guest that does not read */
  patienceMs?: number;
  retryMs?: number;
}

/** What is sent at once: what fits into a frame at most. It follows what the guest takes, so that little is sent a second time. */
const MOST_BYTES = Link.MaxPayload - Link.MessageHeaderBytes;
const LEAST_BYTES = 64;
/** Up to here input is taken for typing: it is not worth a second message to make sure. */
const TYPED_BYTES = 16;

interface Port {
  turn: Promise<void>;
  /** bytes of the next piece */
  piece: number;
  /** a bulk piece is under way: losses are its */
  settling: boolean;
  lost: number;
}

export class ConsoleInput {
  readonly #options: Required<ConsoleInputOptions>;
  readonly #ports = new Map<string, Port>();

  constructor(options: ConsoleInputOptions) {
    this.#options = { patienceMs: 10_000, retryMs: 20, ...options };
  }

  /** Resolves when the guest's ring has all of it; E_CONSOLE_FULL when the guest does not read. */
  write(guest: number, port: number, bytes: Uint8Array): Promise<void> {
    const key = `${guest}:${port}`;
    const state = this.#ports.get(key) ?? { turn: Promise.resolve(), piece: MOST_BYTES, settling: false, lost: 0 };
    this.#ports.set(key, state);
    const turn = state.turn.then(() => this.#deliver(state, guest, port, bytes));
    const settled = turn.catch(() => undefined);
    state.turn = settled;
    void settled.then(() => {
      if (state.turn === settled) this.#ports.delete(key);
    });
    return turn;
  }

  /** The hypervisor dropped the last `count` bytes of what came in. False: nobody here sends them again. */
  dropped(guest: number, port: number, count: number): boolean {
    const state = this.#ports.get(`${guest}:${port}`);
    if (!state?.settling) return false;
    state.lost += count;
    return true;
  }

  async #deliver(state: Port, guest: number, port: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length <= TYPED_BYTES) {
      await this.#options.send(guest, port, bytes, false);
      return;
    }
    let progressAt = Date.now();
    let waitMs = this.#options.retryMs;
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + state.piece);
      const taken = await this.#sendPiece(state, guest, port, piece);
      at += taken;
      // A guest that reads has made room again by the time that the next piece is there.
      state.piece = Math.max(LEAST_BYTES, Math.min(MOST_BYTES, taken === piece.length ? 2 * state.piece : taken));
      if (taken > 0) {
        progressAt = Date.now();
        waitMs = this.#options.retryMs;
        continue;
      }
      if (Date.now() - progressAt > this.#options.patienceMs) throw doesNotRead(guest, at, bytes.length);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      waitMs = Math.min(waitMs * 2, 500);
    }
  }

  /** Bytes of the piece that the guest's ring took. */
  async #sendPiece(state: Port, guest: number, port: number, piece: Uint8Array): Promise<number> {
    state.lost = 0;
    state.settling = true;
    try {
      await this.#options.send(guest, port, piece, true);
    } finally {
      state.settling = false;
    }
    return Math.max(0, piece.length - state.lost);
  }
}

function doesNotRead(guest: number, taken: number, bytes: number): HvkitError {
  return new HvkitError("E_CONSOLE_FULL", `Guest ${guest} does not read its console: it took ${taken} of ${bytes} bytes.`, {
    hint: "`hvkit ps` shows whether it runs.",
    data: { guest, taken, bytes },
  });
}
