import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectSocket, SocketListener } from "../../../control/src/transport/socket.js";
import type { Transport } from "../../../control/src/transport/transport.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-socket-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The next `count` bytes. */
const take = (transport: Transport, count: number): Promise<string> =>
  new Promise((resolve) => {
    let got = "";
    transport.onData((bytes) => {
      got += Buffer.from(bytes).toString();
      if (got.length >= count) resolve(got);
    });
  });

describe.each(["unix", "tcp"])("a %s socket", (kind) => {
  const address = (): { path: string } | { port: number } => (kind === "unix" ? { path: join(folder, "s") } : { port: 0 });

  it("carries bytes both ways, those from before anyone listened too", async () => {
    const listener = await SocketListener.listen(address(), { quickAck: true });
    const near = await connectSocket(listener.address);
    near.write(Buffer.from("early "));
    const far = await listener.accept();
    await new Promise((resolve) => setTimeout(resolve, 20));
    near.write(Buffer.from("late"));
    expect(await take(far, 10)).toBe("early late");
    far.write(Buffer.from("back"));
    expect(await take(near, 4)).toBe("back");
    const closed = new Promise((resolve) => far.onClose(resolve));
    near.close();
    expect(await closed).toBeInstanceOf(Error);
  });

  it("takes one peer, and only one that is admitted", async () => {
    let count = 0;
    const listener = await SocketListener.listen(address(), { admit: () => ++count > 1 });
    const refused = await connectSocket(listener.address);
    await new Promise((resolve) => refused.onClose(resolve));
    const taken = await connectSocket(listener.address);
    const accepted = await listener.accept();
    await expect(connectSocket(listener.address)).rejects.toMatchObject({ code: "E_SOCKET" });
    taken.close();
    accepted.close();
  });

  it("tells its own close without a reason, also to those who ask later", async () => {
    const listener = await SocketListener.listen(address());
    const near = await connectSocket(listener.address);
    (await listener.accept()).onClose(() => undefined);
    const reason = new Promise((resolve) => near.onClose(resolve));
    near.close();
    near.write(Buffer.from("dropped"));
    expect(await reason).toBeUndefined();
    expect(await new Promise((resolve) => near.onClose(resolve))).toBeUndefined();
  });
});

describe("a socket that is not there", () => {
  it("is a clear error", async () => {
    await expect(connectSocket({ path: join(folder, "none") })).rejects.toMatchObject({ code: "E_SOCKET" });
    await expect(SocketListener.listen({ path: join(folder, "no", "folder") })).rejects.toMatchObject({ code: "E_SOCKET" });
  });

  it("ends the wait of one who gives up", async () => {
    const listener = await SocketListener.listen({ port: 0 });
    listener.close();
    await expect(listener.accept()).rejects.toMatchObject({ code: "E_SOCKET" });
  });
});
