import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Guard, refuse, refusedBy } from "../../../control/src/transport/guard.js";
import { makeToken, readToken, tokenHeaders, writeToken } from "../../../control/src/transport/token.js";

describe("a token", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hvkit-token-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("has 256 bits, and a file of mode 600", () => {
    const path = join(folder, "token");
    const token = writeToken(path);
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readToken(path)).toBe(token);
    expect(writeToken(path)).not.toBe(token);
  });

  it("is not taken from a file that others read, that has none, or that is not there", () => {
    const path = join(folder, "token");
    expect(() => readToken(path)).toThrow(expect.objectContaining({ code: "E_TOKEN_FILE" }));
    writeToken(path);
    chmodSync(path, 0o640);
    expect(() => readToken(path)).toThrow(/mode is 640/);
    chmodSync(path, 0o600);
    writeFileSync(path, "secret\n");
    expect(() => readToken(path)).toThrow(/no token/);
    expect(() => readToken(folder)).toThrow(expect.objectContaining({ code: "E_TOKEN_FILE" }));
  });
});

describe("the guard", () => {
  const token = makeToken();
  const guard = new Guard({ token, address: "127.0.0.1", port: 80, hosts: ["Lab:8080"], origins: ["https://lab.example"] });
  const right = { host: "127.0.0.1:80", ...tokenHeaders(token) };
  const code = (headers: Record<string, string>): string | undefined =>
    guard.refusal({ headers, rawHeaders: Object.entries(headers).flat() })?.code;

  it("lets in who has the token, by each name of the address", () => {
    for (const host of ["127.0.0.1:80", "localhost:80", "LOCALHOST:80", "lab:8080"]) expect(code({ ...right, host })).toBeUndefined();
    expect(code({ ...right, origin: "https://lab.example" })).toBeUndefined();
  });

  it.each(["", "127.0.0.1", "localhost", "127.0.0.1:81", "127.0.0.1:80.", "evil.example:80", "127.0.0.1:80.evil.example", "lab"])(
    "refuses the Host '%s'",
    (host) => expect(code({ ...right, host })).toBe("E_HOST"),
  );

  it("refuses a second Host, whatever the first one is", () => {
    const rawHeaders = ["Host", right.host, "HOST", "evil.example"];
    expect(guard.refusal({ headers: right, rawHeaders })).toMatchObject({ status: 400, code: "E_HOST" });
  });

  it("names the options that allow more, where there are such", () => {
    const host = { ...right, host: "evil" };
    const origin = { ...right, origin: "http://evil" };
    const hints = (of: Guard) => [host, origin].map((headers) => of.refusal({ headers, rawHeaders: [] })?.hint);
    expect(hints(guard)).toEqual(["Connect by one of these names.", "A program may, which sends no Origin."]);
    const options = { host: "--allow-host", origin: "--allow-origin" };
    expect(hints(new Guard({ token, address: "127.0.0.1", port: 80, options })).join(" ")).toMatch(/--allow-host.*--allow-origin/);
  });

  it("refuses every Origin that is not exactly one of those allowed", () => {
    for (const origin of ["", "null", "http://lab.example", "https://lab.example:443", "https://lab.example/", "https://LAB.example"])
      expect(code({ ...right, origin })).toBe("E_ORIGIN");
  });

  it("refuses no token, a wrong one, a part of it, another scheme", () => {
    const { host } = right;
    expect(guard.refusal({ headers: { host }, rawHeaders: [] })).toMatchObject({ status: 401, code: "E_TOKEN" });
    for (const authorization of [
      "",
      "Bearer",
      "Bearer ",
      `Bearer ${token.slice(1)}`,
      `Bearer ${token}0`,
      `Bearer ${makeToken()}`,
      `Basic ${token}`,
      token,
    ])
      expect(code({ host, authorization })).toBe("E_TOKEN");
  });

  it("knows each address of a machine that it listens on whole", () => {
    const wide = new Guard({ token, address: "0.0.0.0", port: 80 });
    for (const host of ["127.0.0.1:80", "localhost:80", "[::1]:80"])
      expect(wide.refusal({ headers: { ...right, host }, rawHeaders: [] })?.code).toBeUndefined();
    expect(wide.refusal({ headers: { ...right, host: "0.0.0.0:80" }, rawHeaders: [] })?.code).toBe("E_HOST");
  });

  it("keeps control characters of the other side from the terminal", () => {
    expect(guard.refusal({ headers: { ...right, host: "\x1b[2Jx" }, rawHeaders: [] })?.message).toContain("'?[2Jx'");
  });
});

describe("a refusal", () => {
  const answer = async (respond: (socket: Duplex) => void): Promise<unknown> => {
    const server = createServer();
    server.on("upgrade", (_request, socket) => respond(socket.on("error", () => {})));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      return await new Promise((resolve, reject) => {
        const request = get({ port, headers: { connection: "upgrade", upgrade: "websocket" } }, (response) =>
          resolve(refusedBy("ws://there", response)),
        );
        request.on("error", reject);
      });
    } finally {
      server.close();
    }
  };

  it("comes to the client as the error that it is", async () => {
    const error = await answer((socket) =>
      refuse(socket, { status: 401, code: "E_TOKEN", message: "the token is a wrong one", hint: "Do." }),
    );
    expect(error).toMatchObject({ code: "E_TOKEN", message: "ws://there refuses: the token is a wrong one", hint: "Do." });
  });

  it("of another server is told as what it is", async () => {
    const respond = (body: string) => (socket: Duplex) =>
      socket.end(`HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    for (const body of ["", "nginx", "{}", '{"error":{"code":"x"}}', "null", "x".repeat(100_000)])
      expect(await answer(respond(body))).toMatchObject({ code: "E_CONNECT", message: expect.stringContaining("404 Not Found") });
  });

  it("ends the connection", async () => {
    const server = createServer().on("upgrade", (_request, socket) =>
      refuse(socket, { status: 503, code: "E_BUSY", message: "m", hint: "h" }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let text = "";
    for await (const bytes of socket) text += String(bytes);
    expect(text).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    server.close();
  });
});
