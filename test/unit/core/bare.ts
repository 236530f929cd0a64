// Core's end of the line as a transport: the scheduler loop of hv/asm turns while nothing else does, on a clock of its own, and the wire in
// between spoils what it is told to.
import { type Fault, intact } from "../../../control/src/transport/mock.js";
import type { Transport } from "../../../control/src/transport/transport.js";
import { Rig } from "./rig.js";

/** Nanoseconds of the hypervisor's clock in a turn that brings nothing: its 250 ms pass in 50 turns. */
const IDLE_TURN = 5_000_000n;
const TURN = 100_000n;
/** Turns between two looks at the control plane's side. */
const TURNS = 4;

export class BareMetal implements Transport {
  readonly pending = 0;
  rig: Rig;
  there: Fault = intact;
  back: Fault = intact;
  #listener: ((bytes: Uint8Array) => void) | undefined;
  #closed = false;

  constructor(rig = new Rig({ memoryMiB: 64 })) {
    this.rig = rig;
    const loop = (): void => {
      for (let turn = 0; turn < TURNS && !this.#closed; turn++) this.#turn();
      if (!this.#closed) setImmediate(loop);
    };
    setImmediate(loop);
  }

  write(bytes: Uint8Array): void {
    for (const piece of this.there(bytes)) for (const byte of piece) this.rig.host.toCore.push(byte);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  onClose(): void {
    // This line is cut by nobody but close().
  }

  close(): void {
    this.#closed = true;
  }

  /** The hypervisor starts anew, in the middle of what it was sending. */
  restart(rig: Rig): void {
    const cut = this.rig.host.fromCore.splice(0);
    this.#listener?.(Uint8Array.from(cut.slice(0, cut.length >> 1)));
    this.rig = rig;
  }

  #turn(): void {
    const { host, core } = this.rig;
    const busy = host.toCore.length > 0;
    core.poll(busy ? 0 : 1);
    host.clock += busy || host.fromCore.length > 0 ? TURN : IDLE_TURN;
    const written = Uint8Array.from(host.fromCore.splice(0));
    for (let at = 0, end = written.indexOf(0); end >= 0; at = end + 1, end = written.indexOf(0, at)) {
      for (const piece of this.back(written.subarray(at, end + 1))) this.#listener?.(piece);
    }
  }
}
