// The one interface to whatever carries bytes to the hypervisor's serial line: a socket, a tty, a WebSocket, a test's mock.
// Stands between engines (which make one) and link (which frames on it).

export interface Transport {
  /** Sends bytes in order. Buffers when the line is slow; `drained` tells when the buffer is empty again. */
  write(bytes: Uint8Array): void;
  /** Bytes that are not on the line yet. */
  readonly pending: number;
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Once, with the reason when it was not our own close(). */
  onClose(listener: (error?: Error) => void): void;
  close(): void;
}
