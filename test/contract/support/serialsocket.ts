// An engine's serial line as a Unix socket, which stands for a machine elsewhere that is no QEMU of its own: for one peer at a time, and what the
// line carries while nobody is there is lost. Used by attach.test.ts for Bochs, whose line is a TCP connection that it opens itself.
import { createServer, type Server, type Socket } from "node:net";
import type { RunningEngine } from "../../../control/src/engines/engine.js";

export class SerialSocket {
  readonly path: string;
  readonly #server: Server;
  #peer: Socket | undefined;

  private constructor(server: Server, path: string, { transport }: RunningEngine) {
    this.#server = server;
    this.path = path;
    transport.onData((bytes) => this.#peer?.write(bytes));
    server.on("connection", (peer) => {
      this.#peer?.destroy();
      this.#peer = peer;
      peer.on("data", (bytes) => transport.write(bytes));
      peer.on("error", () => undefined); // its close follows
      peer.on("close", () => {
        if (this.#peer === peer) this.#peer = undefined;
      });
    });
  }

  static async listen(path: string, engine: RunningEngine): Promise<SerialSocket> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return new SerialSocket(server, path, engine);
  }

  /** The peer loses the line, and may come again. */
  cut(): void {
    this.#peer?.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
