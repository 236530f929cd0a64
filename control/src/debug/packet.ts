// The framing of gdb's remote protocol (gdb manual, appendix E.1): `$data#checksum`, with + and - between, and ^C while the guest runs. What
// comes in is not trusted: a packet that is too long, or whose checksum is wrong, is told as invalid; other bytes between packets
// are left out.

/** Characters of a packet's data, either way: what qSupported says. */
export const PACKET_SIZE = 0x10000;

const START = 0x24;
const END = 0x23;
const ESCAPE = 0x7d;
const RUN = 0x2a;
const FLIP = 0x20;
const INTERRUPT = 3;

export type Received =
  | { kind: "packet"; data: Buffer }
  /** to be sent again */
  | { kind: "invalid" }
  | { kind: "interrupt" }
  | { kind: "acknowledged" }
  | { kind: "refused" };

export class PacketReader {
  #state: "idle" | "data" | "high" | "low" = "idle";
  #data: number[] = [];
  #sum = 0;
  #tooLong = false;
  #claimed = 0;

  /** All that is complete after these bytes. */
  *feed(bytes: Uint8Array): Generator<Received> {
    for (const byte of bytes) {
      const received = this.#take(byte);
      if (received) yield received;
    }
  }

  #take(byte: number): Received | undefined {
    switch (this.#state) {
      case "idle":
        if (byte === START) this.#begin();
        else if (byte === INTERRUPT) return { kind: "interrupt" };
        else if (byte === 0x2b) return { kind: "acknowledged" };
        else if (byte === 0x2d) return { kind: "refused" };
        return undefined;
      case "data":
        if (byte === END) this.#state = "high";
        else if (byte === START) this.#begin();
        else {
          this.#sum = (this.#sum + byte) & 0xff;
          if (this.#data.length < PACKET_SIZE) this.#data.push(byte);
          else this.#tooLong = true;
        }
        return undefined;
      case "high":
        this.#claimed = hexDigit(byte) * 16;
        this.#state = "low";
        return undefined;
      case "low":
        this.#state = "idle";
        // NaN, of what is no hexadecimal digit, is no checksum either.
        if (this.#tooLong || this.#claimed + hexDigit(byte) !== this.#sum) return { kind: "invalid" };
        return { kind: "packet", data: unescaped(this.#data) };
    }
  }

  #begin(): void {
    this.#state = "data";
    this.#data = [];
    this.#sum = 0;
    this.#tooLong = false;
  }
}

/** A packet around data, in which what frames it is escaped. */
export function encodePacket(data: Uint8Array | string): Buffer {
  const plain = typeof data === "string" ? Buffer.from(data, "latin1") : data;
  // Twice as long at the most, and what is around it.
  const packet = Buffer.allocUnsafe(plain.length * 2 + 4);
  packet[0] = START;
  let at = 1;
  let sum = 0;
  for (const byte of plain) {
    if (byte === START || byte === END || byte === ESCAPE || byte === RUN) {
      packet[at++] = ESCAPE;
      packet[at++] = byte ^ FLIP;
      sum += ESCAPE + (byte ^ FLIP);
    } else {
      packet[at++] = byte;
      sum += byte;
    }
  }
  packet[at++] = END;
  at += packet.write((sum & 0xff).toString(16).padStart(2, "0"), at, "latin1");
  return packet.subarray(0, at);
}

function unescaped(data: readonly number[]): Buffer {
  const bytes: number[] = [];
  for (let at = 0; at < data.length; at++) {
    const byte = data[at] ?? 0;
    if (byte === ESCAPE && at + 1 < data.length) bytes.push((data[++at] ?? 0) ^ FLIP);
    else bytes.push(byte);
  }
  return Buffer.from(bytes);
}

function hexDigit(byte: number): number {
  return /^[0-9a-f]$/i.test(String.fromCharCode(byte)) ? Number.parseInt(String.fromCharCode(byte), 16) : Number.NaN;
}
