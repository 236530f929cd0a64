// gdb on a guest in a file: all of it is read, nothing is changed, and nothing lets it go on.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { encodePacket, PacketReader } from "../../../control/src/debug/packet.js";
import { registerTable } from "../../../control/src/debug/registers.js";
import { Stub } from "../../../control/src/debug/stub.js";
import type { SavedGuest } from "../../../control/src/offline/savedguest.js";
import { SavedTarget } from "../../../control/src/offline/target.js";
import { Register } from "../../../protocol/state.js";
import { Board } from "../machine/devices/board.js";
import { MIB } from "../snapshot/sample.js";
import { savedOf } from "./saved.js";

const RIP = 0x7c00n;
const CODE = [0xb8, 1, 0, 0, 0, 0xf4];

let saved: SavedGuest;
let target: SavedTarget;
let stub: Stub;
let sent: string[];

beforeAll(async () => {
  const ram = Buffer.alloc(2 * MIB);
  ram.set(CODE, Number(RIP));
  const registers = { [Register.Rip]: RIP, [Register.Rax]: 0x1234n, [Register.Cr0]: 0x11n, [Register.CsAttributes]: 0xc09bn };
  saved = await savedOf(new Board(), { ram, registers });
});

beforeEach(() => {
  target = new SavedTarget(saved, "./web.hvsnap");
  sent = [];
  const reader = new PacketReader();
  stub = new Stub(target, {
    send: (bytes) => {
      for (const received of reader.feed(bytes)) if (received.kind === "packet") sent.push(received.data.toString("latin1"));
    },
    monitor: async () => "",
    done: () => {},
    kill: async () => {},
  });
});

/** The packets that come for one. */
async function ask(text: string, count = 1): Promise<string[]> {
  sent = [];
  stub.receive(encodePacket(text));
  await expect.poll(() => sent.length).toBeGreaterThanOrEqual(count);
  return sent;
}
const number = (name: string): string =>
  registerTable(target)
    .findIndex((info) => info.name === name)
    .toString(16);
const shown = (packet = ""): string => Buffer.from(packet.slice(1), "hex").toString();

describe("a saved guest under gdb", () => {
  test("its registers and its memory are those of the file", async () => {
    expect(await ask(`p${number("rip")}`)).toEqual(["007c000000000000"]);
    expect(await ask(`p${number("rax")}`)).toEqual(["3412000000000000"]);
    expect(await ask("m7c00,6")).toEqual([Buffer.from(CODE).toString("hex")]);
    expect(await ask(`m${(2 * MIB).toString(16)},1`)).toEqual(["E0e"]);
    expect(target).toMatchObject({ name: saved.name, memoryBytes: 2 * MIB });
  });

  test.each([
    ["P0=0100000000000000", "its registers cannot be changed"],
    ["M7c00,1:90", "its memory cannot be changed"],
  ])("nothing is changed by %s", async (packet, answer) => {
    expect((await ask(packet))[0]).toMatch(new RegExp(`^E\\.E_NOT_LIVE: './web.hvsnap' is a snapshot: ${answer}`));
    expect(await ask("m7c00,6")).toEqual([Buffer.from(CODE).toString("hex")]);
    expect(await ask("p0")).toEqual(["3412000000000000"]);
  });

  test.each(["c", "s", "vCont;c", "vCont;s:1"])("it does not go on by %s: it is told why, and that it stands", async (packet) => {
    const [why, stands] = await ask(packet, 2);
    expect(shown(why)).toMatch(/is a snapshot: it cannot go on; `hvkit run --from` makes a guest of it/);
    expect(stands).toBe("S05");
    expect(await ask(`p${number("rip")}`)).toEqual(["007c000000000000"]);
  });

  test("a breakpoint is taken, and it does not go on to it", async () => {
    expect(await ask("Z1,7c05,1")).toEqual(["OK"]);
    expect(shown((await ask("c", 2))[0])).toMatch(/it cannot go on/);
    expect(await ask("D")).toEqual(["OK"]);
  });
});
