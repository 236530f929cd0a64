// A hypervisor elsewhere, as the daemon boots it: here a fake one behind a Unix socket, or nothing, or noise.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { type BootContext, bootFrom } from "../../../control/src/daemon/boot.js";
import { attach, isPassing } from "../../../control/src/engines/attach.js";
import { HvkitError } from "../../../control/src/errors.js";
import { RemoteHypervisor } from "../../../control/src/hypervisor/client.js";
import { Link } from "../../../protocol/link.js";
import { GuestStateReply, HostStatReply, Op, RunState, Status } from "../../../protocol/messages.js";
import { FakeHypervisor, type FakeOptions } from "../hypervisor/fake.js";

let folder: string;
let path: string;
let server: Server;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-attach-"));
  path = join(folder, "serial");
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

async function listen(onConnection: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => onConnection(socket.on("error", () => {})));
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

/** A hypervisor that runs, with whatever stands on the line before it. */
async function serve(options: FakeOptions, noise?: Uint8Array): Promise<FakeHypervisor> {
  const fake = new FakeHypervisor(options);
  await listen((socket) => {
    if (noise) socket.write(noise);
    socket.on("data", (bytes) => fake.transport.write(bytes));
    fake.transport.onData((bytes) => socket.write(bytes));
  });
  return fake.boot();
}

/** Slots 1 and 4 have guests. */
function withGuests(): { options: FakeOptions; slots: Map<number, RunState> } {
  const slots = new Map([
    [1, RunState.Ended],
    [4, RunState.Runnable],
  ]);
  const stat = (): number[] => {
    const words = new Array<number>(HostStatReply.Words).fill(0);
    words[HostStatReply.Guests] = slots.size;
    return words;
  };
  const options: FakeOptions = {
    answer: {
      [Op.HostStat]: () => ({ words: stat() }),
      [Op.GuestState]: (message) => {
        const state = slots.get(message.number(0));
        if (state === undefined) return { status: Status.NoSuchGuest };
        const words = new Array<number>(GuestStateReply.Words).fill(0);
        words[GuestStateReply.State] = state;
        return { words };
      },
      [Op.GuestKill]: (message) => {
        slots.set(message.number(0), RunState.Ended);
        return {};
      },
      [Op.GuestDestroy]: (message) => {
        const was = slots.get(message.number(0));
        if (was !== RunState.Ended) return { status: Status.BadState };
        slots.delete(message.number(0));
        return {};
      },
    },
  };
  return { options, slots };
}

const boot = (lines: string[] = [], more: Partial<BootContext> = {}) =>
  bootFrom(projectRoot())(
    { engine: "auto", accel: "auto", memoryBytes: 0, attach: { to: path } },
    {
      runDir: folder,
      onLine: (line) => lines.push(line),
      onEngine: () => {},
      onFault: (error) => {
        throw error;
      },
      signal: new AbortController().signal,
      ...more,
    },
  );

describe("a hypervisor elsewhere", () => {
  it("is taken as it is, without the guests that an earlier control plane left there", async () => {
    const { options, slots } = withGuests();
    await serve(options);
    const lines: string[] = [];
    const { engine, hypervisor, choice } = await boot(lines);
    expect(engine).toMatchObject({ name: "attach", accel: "remote", external: true, command: [path] });
    expect(engine.memory ?? engine.store ?? engine.pid).toBeUndefined();
    expect(choice).toMatchObject({ vendor: "AMD SVM", why: expect.stringContaining(path) });
    expect(slots.size).toBe(0);
    expect(lines).toContain("engine: 2 guests of an earlier control plane were ended.");
    // The fake is none of our builds.
    expect(lines.join("\n")).toMatch(/the hypervisor there is another build \(hvkit fake\)/);
    await hypervisor.close();
  });

  it("is found behind random bytes", async () => {
    const noise = Buffer.alloc(100_000);
    for (let at = 0, state = 7; at < noise.length; at++) {
      state = Math.imul(state, 1_103_515_245) + 12_345;
      noise[at] = state >>> 16;
    }
    const { options } = withGuests();
    await serve(options, noise);
    const { hypervisor } = await boot();
    expect(await hypervisor.ping(Buffer.from("there"))).toEqual(new Uint8Array(Buffer.from("there")));
    await hypervisor.close();
  });

  it("of another version is refused, both named", async () => {
    await serve({ version: 77 });
    await expect(boot()).rejects.toMatchObject({
      code: "E_LINK_VERSION",
      message: expect.stringMatching(`version 77 .* version ${Link.Version}\\.`),
    });
  });

  it("gets its bulk bytes over the line", async () => {
    const { options } = withGuests();
    const fake = await serve(options);
    const { hypervisor } = await boot();
    const { guest } = await hypervisor.guestCreate({ memoryBytes: 65_536, wallSeconds: 0 });
    const bytes = Buffer.alloc(20_000, "bulk");
    await hypervisor.guestPut(guest, 4096, bytes);
    expect(Buffer.from(fake.ram.subarray(4096, 24_096)).equals(bytes)).toBe(true);
    expect(Buffer.from(await hypervisor.guestGet(guest, 4096, 20_000)).equals(bytes)).toBe(true);
    expect(fake.ops).not.toContain(Op.GuestLoad);
    await hypervisor.close();
    expect(fake.ops).not.toContain(Op.Shutdown);
  });
});

describe("what does not answer is told by what came", () => {
  const silence = async (onConnection: (socket: Socket) => void): Promise<HvkitError> => {
    await listen(onConnection);
    const machine = await attach({ to: path });
    const error = await RemoteHypervisor.connect(machine, { deadlineMs: 300 }).catch((reason: unknown) => reason);
    await machine.stop();
    if (!(error instanceof HvkitError)) throw new Error("it answered");
    expect(isPassing(error)).toBe(true);
    return machine.silent(error);
  };

  it("nothing", async () => {
    expect(await silence((socket) => socket.resume())).toMatchObject({
      code: "E_LINK_TIMEOUT",
      message: `no hypervisor answers at ${path}: nothing came`,
      hint: expect.stringContaining("booted"),
    });
  });

  it("bytes of another rate", async () => {
    expect(await silence((socket) => socket.resume().write(Buffer.alloc(500, 0xfe)))).toMatchObject({
      message: `no hypervisor answers at ${path}: 500 bytes came, and no frame of hvkit`,
      hint: expect.stringContaining("baud"),
    });
  });

  it("a frame, and no answer to the request", async () => {
    const deaf = new FakeHypervisor({ answer: { [Op.Hello]: () => undefined } }).boot();
    const error = await silence((socket) => {
      socket.on("data", (bytes) => deaf.transport.write(bytes));
      deaf.transport.onData((bytes) => socket.write(bytes));
    });
    expect(error).toMatchObject({
      message: expect.stringMatching(/: \d+ frames of hvkit came, and no answer to the first request$/),
    });
  });

  it("the hypervisor's own words", async () => {
    expect(await silence((socket) => socket.resume().write("SeaBIOS\r\n\0hvkit: start\r\nhvkit: cpu: SVM ok\r\n"))).toMatchObject({
      message: `no hypervisor answers at ${path}: it said, and then no more:\nhvkit: start\nhvkit: cpu: SVM ok`,
    });
  });
});

describe("a machine that cannot run it", () => {
  it("is told by the hypervisor's own words, without waiting", async () => {
    await listen((socket) => socket.resume().write("hvkit: cpu: VMX or SVM MISSING\r\nhvkit: stop: no usable hardware virtualization\r\n"));
    const error: unknown = await boot().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "E_HV_STOPPED",
      hint: expect.stringContaining("firmware"),
      data: { why: "no usable hardware virtualization" },
    });
    expect(String(error)).toContain("hvkit: cpu: VMX or SVM MISSING\nhvkit: stop:");
    expect(isPassing(error)).toBe(false);
  });

  it("that says nothing yet is waited for, with a line now and then", async () => {
    let say = (): void => {};
    await listen((socket) => {
      socket.resume();
      say = () => void socket.write("hvkit: stop: no usable memory above the hypervisor\r\n");
    });
    const lines: string[] = [];
    const onLine = (line: string): void => {
      lines.push(line);
      if (lines.filter((each) => each.includes("no answer yet")).length === 3) say();
    };
    await expect(boot(lines, { onLine, waitingMs: 20 })).rejects.toMatchObject({
      code: "E_HV_STOPPED",
      hint: "When that is mended, boot it again.",
    });
    expect(lines).toContainEqual(expect.stringMatching(/^engine: no answer yet after \d+ s; it is waited for 30 s\.$/));
  });
});
