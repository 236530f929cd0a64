import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { attachRequest } from "../../../control/src/cli/attachrequest.js";
import { parseListen } from "../../../control/src/transport/address.js";
import { parseTarget } from "../../../control/src/transport/target.js";

const usage = expect.objectContaining({ code: "E_USAGE" });

describe("where a line is", () => {
  it("is a WebSocket, a tty or a Unix socket, by what is written", async () => {
    expect(parseTarget("ws://lab:4590")).toMatchObject({ kind: "websocket", url: { href: "ws://lab:4590/serial" } });
    expect(parseTarget("WSS://lab/there?x=1#y")).toMatchObject({ url: { href: "wss://lab/there?x=1" } });
    expect(parseTarget("/dev/ttyS0")).toEqual({ kind: "tty", path: "/dev/ttyS0" });
    const folder = mkdtempSync(join(tmpdir(), "hvkit-target-"));
    const path = join(folder, "s");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(parseTarget(path)).toEqual({ kind: "socket", path });
    server.close();
    rmSync(folder, { recursive: true });
  });

  it.each(["http://lab:4590", "tcp://lab:1", "ftp://x", "file:///dev/ttyS0", "ttyS0", "lab:4590", "", "ws://", "ws://a b", "ws://u:p@lab"])(
    "is not '%s'",
    (text) => expect(() => parseTarget(text)).toThrow(usage),
  );

  it("names the scheme that is wrong", () => {
    expect(() => parseTarget("http://lab")).toThrow(/its scheme is http, not ws or wss/);
  });
});

describe("what --attach goes with", () => {
  it("is a rate for a tty, a token for a WebSocket", () => {
    expect(attachRequest({})).toBeUndefined();
    expect(attachRequest({ attach: "/dev/ttyS0", baud: "9600" })).toEqual({ to: "/dev/ttyS0", baud: 9600 });
    expect(attachRequest({ attach: "ws://lab:1", tokenFile: "/t" })).toEqual({ to: "ws://lab:1/serial", tokenFile: "/t" });
    for (const wrong of [
      { baud: "9600" },
      { tokenFile: "t" },
      { attach: "/dev/ttyS0", baud: "fast" },
      { attach: "/dev/ttyS0", tokenFile: "t" },
      { attach: "ws://lab:1", baud: "9600" },
    ])
      expect(() => attachRequest(wrong)).toThrow(usage);
  });
});

describe("where to listen", () => {
  it.each([
    ["4590", "127.0.0.1", 4590],
    [":0", "127.0.0.1", 0],
    ["localhost:1", "127.0.0.1", 1],
    ["0.0.0.0:65535", "0.0.0.0", 65_535],
    ["[::1]:80", "::1", 80],
  ])("%s is %s, port %s", (text, host, port) => expect(parseListen(text, "--listen")).toEqual({ host, port }));

  it.each(["", "lab:80", "127.0.0.1", "127.0.0.1:65536", "::1:80", "[]:80", "1.2.3:80", "http://127.0.0.1:80", "127.0.0.1:-1"])(
    "'%s' is no address",
    (text) => expect(() => parseListen(text, "--listen")).toThrow(usage),
  );
});
