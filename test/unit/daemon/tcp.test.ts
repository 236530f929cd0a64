// The daemon on a TCP port: who may come in, and a client that does.
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Client } from "../../../control/src/client/client.js";
import { Harness } from "./harness.js";

const LISTEN = { host: "127.0.0.1", port: 0 };

let harness: Harness;
let url = "";
let tokenFile = "";
beforeEach(async () => {
  harness = await Harness.start(undefined, { listen: LISTEN });
  ({ url, tokenFile } = harness.daemon.tcp ?? { url: "", tokenFile: "" });
});
afterEach(() => harness.stop());

/** What the daemon answers in place of an upgrade; undefined: it lets in. */
function refusal(headers: Record<string, string>, path = "/rpc"): Promise<{ status: number | undefined; code: string } | undefined> {
  const socket = new WebSocket(`${url}${path}`, { headers });
  return new Promise((resolve, reject) => {
    socket.once("open", () => {
      socket.close();
      resolve(undefined);
    });
    socket.on("error", reject);
    socket.once("unexpected-response", (_request, response) => {
      response.setEncoding("utf8").once("data", (text: string) => {
        resolve({ status: response.statusCode, code: (JSON.parse(text) as { error: { code: string } }).error.code });
      });
    });
  });
}
const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });
const token = (): string => readFileSync(tokenFile, "utf8").trim();

describe("the TCP port", () => {
  it("is on loopback, with 256 bits in a file that only its user reads", async () => {
    expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
    expect(token()).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    expect(await refusal(bearer(token()))).toBeUndefined();
  });

  it("is closed without the token, and to other names and pages", async () => {
    const wrong = token().replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    const port = new URL(url).port;
    expect(await refusal({})).toEqual({ status: 401, code: "E_TOKEN" });
    expect(await refusal(bearer(wrong))).toEqual({ status: 401, code: "E_TOKEN" });
    expect(await refusal(bearer(`${token()}0`))).toEqual({ status: 401, code: "E_TOKEN" });
    expect(await refusal({ authorization: token() })).toEqual({ status: 401, code: "E_TOKEN" });
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", "127.0.0.1:1", `127.0.0.1.evil.example:${port}`]) {
      expect(await refusal({ ...bearer(token()), host })).toEqual({ status: 421, code: "E_HOST" });
    }
    for (const origin of ["http://evil.example", `http://127.0.0.1:${port}`, "null"]) {
      expect(await refusal({ ...bearer(token()), origin })).toEqual({ status: 403, code: "E_ORIGIN" });
    }
    expect(await refusal({ ...bearer(token()), host: `localhost:${port}` })).toBeUndefined();
    expect(await refusal(bearer(token()), "/")).toEqual({ status: 404, code: "E_CONNECT" });
    const client = await harness.client();
    expect(await harness.call(client, "ps", {})).toEqual([]);
  });

  it("that is taken is told before anything is booted", async () => {
    const taken: Server = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    await expect(Harness.start(undefined, { listen: { ...LISTEN, port } })).rejects.toMatchObject({ code: "E_LISTEN" });
    taken.close();
  });
});

describe("a client of the TCP port", () => {
  it("does what one of the socket does", async () => {
    const client = await Client.connect({ url, tokenFile });
    expect(await harness.call(client, "status", {})).toMatchObject({ tcp: { url, tokenFile } });
    await harness.call(client, "run", { image: "sector", name: "web" });
    expect(await harness.call(await harness.client(), "ps", {})).toMatchObject([{ name: "web" }]);
    await client.close();
  });

  it("is told what is wrong", async () => {
    const other = join(harness.folder, "token");
    writeFileSync(other, `${"0".repeat(64)}\n`, { mode: 0o600 });
    await expect(Client.connect({ url, tokenFile: other })).rejects.toMatchObject({
      code: "E_TOKEN",
      hint: expect.stringContaining("--url-token-file") as string,
    });
    chmodSync(other, 0o644);
    await expect(Client.connect({ url, tokenFile: other })).rejects.toMatchObject({ code: "E_TOKEN_FILE" });
    await expect(Client.connect({ url: "http://127.0.0.1:1", tokenFile })).rejects.toMatchObject({ code: "E_URL" });
    await expect(Client.connect({ url: `${url}/elsewhere`, tokenFile })).rejects.toMatchObject({ code: "E_URL" });
    await harness.daemon.server.close();
    await expect(Client.connect({ url, tokenFile })).rejects.toMatchObject({
      code: "E_CONNECT",
      message: expect.stringContaining(url) as string,
    });
  });
});
