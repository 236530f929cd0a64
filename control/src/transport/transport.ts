// The one interface to whatever carries bytes to the hypervisor's serial line: a socket, a tty, a WebSocket, a test's mock.
// Stands between engines (which make one) and link (which frames on it); the bridge joins two.

export interface Transport {
  /** Sends bytes in order. Buffers when the line is slow. */
  write(bytes: Uint8Array): void;
  /** Bytes that are not on the line yet. */
  readonly pending: number;
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Once, with the reason when it was not our own close(). */
  onClose(listener: (error?: Error) => void): void;
  /** Of one that outlasts its line (lasting.ts): each time that the line breaks, and that it is there again. */
  onBroken?(listener: (error: Error) => void): void;
  onBack?(listener: () => void): void;
  close(): void;
}

/** A transport that can be held back: what joins two of them keeps the slower one's buffer small. */
export interface Line extends Transport {
  /** The other side is kept from sending, once what lies between is full. A few bytes may still come. */
  pause(): void;
  resume(): void;
  /** Each time that all which was written is on the line. */
  onDrain(listener: () => void): void;
}
