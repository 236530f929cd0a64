// The stub with a guest in memory: what each packet answers, and that none breaks it.
import { fc, test as property } from "@fast-check/vitest";
import { beforeEach, describe, expect, test } from "vitest";
import { encodePacket, PacketReader } from "../../../control/src/debug/packet.js";
import { registerTable } from "../../../control/src/debug/registers.js";
import { Stub } from "../../../control/src/debug/stub.js";
import { DebugFlag, DebugStop } from "../../../protocol/debug.js";
import { Register } from "../../../protocol/state.js";
import { FakeTarget } from "./faketarget.js";

let target: FakeTarget;
let stub: Stub;
let sent: string[];
let killed: number;
let done: number;

beforeEach(() => {
  target = new FakeTarget();
  sent = [];
  killed = 0;
  done = 0;
  const reader = new PacketReader();
  stub = new Stub(target, {
    send: (bytes) => {
      for (const received of reader.feed(bytes)) if (received.kind === "packet") sent.push(received.data.toString("latin1"));
    },
    monitor: async (line) => `you said ${line}\n`,
    done: () => void done++,
    kill: async () => void killed++,
  });
});

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** The packets that come for one. */
async function ask(text: string | Buffer): Promise<string[]> {
  sent = [];
  stub.receive(encodePacket(text));
  for (let turn = 0; turn < 40 && sent.length === 0; turn++) await new Promise((resolve) => setImmediate(resolve));
  return sent;
}
async function reply(text: string | Buffer): Promise<string | undefined> {
  return (await ask(text))[0];
}
const number = (name: string): number => registerTable(target).findIndex((info) => info.name === name);

describe("the session", () => {
  test("features, threads, what is attached", async () => {
    expect(await reply("qSupported:swbreak+;hwbreak+")).toMatch(/PacketSize=10000;.*QStartNoAckMode\+.*qXfer:features:read\+/);
    expect(await reply("qfThreadInfo")).toBe("m1");
    expect(await reply("qsThreadInfo")).toBe("l");
    expect(await reply("qAttached")).toBe("1");
    expect(await reply("qC")).toBe("QC1");
    for (const packet of ["Hg0", "Hc-1", "T1"]) expect(await reply(packet)).toBe("OK");
    expect(await reply("?")).toBe("S05");
    expect(await reply("qTStatus")).toBe("");
    expect(await reply("jNoSuchPacket")).toBe("");
  });

  test("the description has every register, and comes in pieces", async () => {
    const whole = (await reply("qXfer:features:read:target.xml:0,10000")) ?? "";
    expect(whole[0]).toBe("l");
    for (const name of ["rax", "rip", "eflags", "st7", "fs_base", "xmm15", "mxcsr", "ymm3h", "cr0", "cr3", "efer"]) {
      expect(whole).toContain(`name="${name}"`);
    }
    const piece = (await reply("qXfer:features:read:target.xml:10,20")) ?? "";
    expect(piece).toBe(`m${whole.slice(17, 49)}`);
    expect(await reply("qXfer:features:read:other.xml:0,100")).toBe("E00");
    expect(await reply("qXfer:memory-map:read::0,100")).toBe("");
  });

  test("monitor's output, then OK", async () => {
    await ask(`qRcmd,${Buffer.from("regs all").toString("hex")}`);
    await settled();
    expect(sent).toEqual([`O${Buffer.from("you said regs all\n").toString("hex")}`, "OK"]);
  });

  test("detach gives the guest back, kill ends it", async () => {
    expect(await reply("D")).toBe("OK");
    expect([target.detached, done]).toEqual([1, 1]);
    await ask("k");
    expect(killed).toBe(1);
  });

  test("a packet with a wrong checksum is asked for again", async () => {
    const raw: string[] = [];
    const direct = new Stub(target, {
      send: (bytes) => void raw.push(Buffer.from(bytes).toString()),
      monitor: async () => "",
      done: () => {},
      kill: async () => {},
    });
    direct.receive(Buffer.from("$?#00"));
    direct.receive(Buffer.from("$?#3f"));
    await settled();
    expect(raw).toEqual(["-", "+", "$S05#b8"]);
    direct.receive(Buffer.from("-"));
    expect(raw.at(-1)).toBe("$S05#b8");
  });
});

describe("registers", () => {
  test("each by its number, all together", async () => {
    target.values[Register.Rbx] = 0x1122334455667788n;
    expect(await reply(`p${number("rbx").toString(16)}`)).toBe("8877665544332211");
    expect(await reply(`p${number("cs").toString(16)}`)).toBe("1e000000");
    const all = (await reply("g")) ?? "";
    expect(all.length).toBe(2 * registerTable(target).reduce((sum, { bytes }) => sum + bytes, 0));
    expect(all.slice(16, 32)).toBe("8877665544332211");
    expect(await reply("pffff")).toBe("E16");
    expect(await reply("p")).toBe("E16");
  });

  test("are written; one that cannot have the value says so", async () => {
    expect(await reply(`P${number("r15").toString(16)}=0102030405060708`)).toBe("OK");
    expect(target.values[Register.R15]).toBe(0x0807060504030201n);
    expect(await reply(`P${number("cr0").toString(16)}=0000000000000000`)).toMatch(/^E\.E_DEBUG_REGISTER: .*cr0/);
    expect(await reply(`P${number("r15").toString(16)}=01`)).toBe("E16");
    const all = (await reply("g")) ?? "";
    expect(await reply(`G${all}`)).toBe("OK");
    expect(await reply("G00")).toBe("E16");
  });

  test("FPU and SSE: tags, and what is in use", async () => {
    target.area[4] = 0x81;
    expect(await reply(`p${number("ftag").toString(16)}`)).toBe("fc3f0000");
    expect(await reply(`P${number("xmm1").toString(16)}=${"ab".repeat(16)}`)).toBe("OK");
    expect(Buffer.from(target.area.subarray(176, 192)).toString("hex")).toBe("ab".repeat(16));
    expect(target.area[512]).toBe(3);
    expect(await reply(`P${number("ymm0h").toString(16)}=${"01".repeat(16)}`)).toBe("OK");
    expect(target.area[512]).toBe(7);
  });
});

describe("memory", () => {
  test("read, written in hexadecimal and binary", async () => {
    expect(await reply("M2000,3:616263")).toBe("OK");
    expect(await reply("m2000,4")).toBe("61626300");
    expect(await reply(Buffer.concat([Buffer.from("X2001,2:"), Buffer.from([0x23, 0x7d])]))).toBe("OK");
    expect(await reply("m2000,3")).toBe("61237d");
    expect(await reply("X0,0:")).toBe("OK");
  });

  test("a read that leaves what is mapped is short, one outside an error", async () => {
    expect((await reply("m3fffe,8"))?.length).toBe(4);
    expect(await reply("m40000,4")).toBe("E0e");
    expect(await reply("m100000000,4")).toBe("E0e");
    expect(await reply("mffffffffffffffff,2")).toBe("E0e");
    expect(await reply("M3ffff,2:0000")).toBe("E0e");
  });

  test.each(["m", "m1", "m1,", "mzz,4", "m0,fffffffffffffffff", "M0,2:00", "M0,1:0g", "X0,5:ab", "m-1,4"])(
    "%s is refused",
    async (packet) => {
      expect(await reply(packet)).toBe("E16");
    },
  );

  test("an absurd length gives no more than a packet", async () => {
    expect((await reply("m0,ffffffff"))?.length).toBeLessThanOrEqual(0x10000);
  });

  test("physical, when asked for", async () => {
    // One page of 4 KiB at linear 5000h, to physical 7000h: 32-bit paging.
    target.ram.writeUInt32LE(0x2003, 0x1000);
    target.ram.writeUInt32LE(0x7003, 0x2000 + 5 * 4);
    Object.assign(target.values, { [Register.Cr0]: 0x80000001n, [Register.Cr3]: 0x1000n, [Register.Cr4]: 0n, [Register.Efer]: 0n });
    target.ram.write("linear", 0x7000);
    target.ram.write("physic", 0x5000);
    expect(Buffer.from((await reply("m5000,6")) ?? "", "hex").toString()).toBe("linear");
    expect(await reply("m6000,6")).toBe("E0e");
    expect(await reply("qqemu.PhyMemMode")).toBe("0");
    expect(await reply("Qqemu.PhyMemMode:1")).toBe("OK");
    expect(Buffer.from((await reply("m5000,6")) ?? "", "hex").toString()).toBe("physic");
    expect(await reply("Qqemu.PhyMemMode:2")).toBe("");
  });
});

describe("running", () => {
  test("the guest's stop is the reply", async () => {
    target.onRun = () => DebugStop.Step;
    expect(await reply("vCont;s:1;c")).toBe("T05thread:1;");
    expect(target.runs[0]?.flags).toBe(DebugFlag.Step);
    expect(await reply("s")).toBe("T05thread:1;");
    expect(await reply("vCont?")).toBe("vCont;c;C;s;S;t");
    expect(await reply("vCont;x")).toBe("E16");
  });

  test("software breakpoints go to physical addresses, and are told as such", async () => {
    expect(await reply("Z0,3000,1")).toBe("OK");
    expect(await reply("Z0,80000000,1")).toBe("E0e");
    target.onRun = () => {
      target.values[Register.Rip] = 0x3000n;
      return DebugStop.Software;
    };
    expect(await reply("c")).toBe("T05thread:1;swbreak:;");
    expect(target.runs[0]?.software).toEqual([0x3000]);
    expect(await reply("z0,3000,1")).toBe("OK");
  });

  test("an INT1 of the guest's own is given to it, as the trap that it is", async () => {
    target.values[Register.Rip] = 0x4000n;
    let runs = 0;
    target.onRun = () => (runs++ === 0 ? DebugStop.Software : 0);
    expect(await reply("c")).toBe("T02thread:1;");
    expect(target.values[Register.Rip]).toBe(0x4001n);
    expect(target.injected).toBe(0x80000301n);
  });

  test("hardware breakpoints and watchpoints share four registers", async () => {
    expect(await reply("Z1,1000,1")).toBe("OK");
    expect(await reply("Z2,2006,4")).toBe("OK"); // not aligned: two of them
    expect(await reply("Z4,2010,8")).toBe("OK");
    expect(await reply("Z3,2020,1")).toMatch(/^E\.E_DEBUG_BREAKPOINTS/);
    target.onRun = () => 4;
    expect(await reply("c")).toBe("T05thread:1;watch:2006;");
    expect(target.runs[0]).toMatchObject({ addresses: [0x1000n, 0x2006n, 0x2008n, 0x2010n], dr7: 0xb55000aa });
    // The one at RIP is passed.
    expect(target.values[Register.Rflags]).toBe(0x10002n);
    target.onRun = () => 1;
    expect(await reply("c")).toBe("T05thread:1;hwbreak:;");
    expect(await reply("z2,2006,4")).toBe("OK");
    expect(await reply("Z3,2020,1")).toBe("OK");
    target.onRun = () => 4;
    expect(await reply("c")).toBe("T05thread:1;rwatch:2020;");
  });

  test("^C stops a guest that runs, and is nothing to one that stands", async () => {
    stub.receive(Buffer.from([3]));
    expect(target.paused).toBe(0);
    stub.receive(encodePacket("c"));
    await settled();
    expect(await reply("g")).toBe("E10");
    sent = [];
    stub.receive(Buffer.from([3]));
    await settled();
    expect(sent).toEqual(["T02thread:1;"]);
  });

  test("a guest that ends is told, and stays ended", async () => {
    stub.receive(encodePacket("c"));
    await settled();
    sent = [];
    target.events?.end("web has ended: It powered off.", 0);
    await settled();
    expect(sent).toEqual([`O${Buffer.from("hvkit: web has ended: It powered off.\n").toString("hex")}`, "W00"]);
    expect(await reply("c")).toBe("W00");
    expect(await reply("m0,4")).toBe("E03");
    expect(await reply("D")).toBe("OK");
  });

  test("one that is taken away while it stands is told at the next step", async () => {
    target.events?.end("it was reset", undefined);
    expect(await reply("vCont;s:1")).toBe("X09");
  });

  test("a guest that cannot go on stands where it was", async () => {
    target.run = async () => {
      throw new Error("no hypervisor");
    };
    await ask("c");
    await settled();
    expect(sent.at(-1)).toBe("S05");
  });
});

describe("a step", () => {
  const at = (...code: number[]): void => void target.ram.set(code, 0x1000);

  test("over PUSHF leaves no TF in what was pushed", async () => {
    at(0x9c);
    target.onRun = () => {
      target.values[Register.Rsp] = 0x8000n;
      target.ram.writeUInt32LE(0x346, 0x8000);
      return DebugStop.Step;
    };
    expect(await reply("s")).toBe("T05thread:1;");
    expect(target.ram.readUInt32LE(0x8000)).toBe(0x246);
  });

  test.each([[[0x9d]], [[0x48, 0xcf]]])("of %j tells that it loads TF", async (code) => {
    at(...code);
    target.onRun = () => DebugStop.Step;
    await reply("s");
    expect(target.runs[0]?.flags).toBe(DebugFlag.Step | DebugFlag.Pops);
  });

  test("into the kernel, and into a handler, runs to where it goes", async () => {
    at(0x0f, 0x05);
    target.values[Register.Lstar] = 0x5000n;
    target.values[Register.IdtrBase] = 0x9000n;
    target.ram.writeUInt16LE(0x6000, 0x9000 + 0x80 * 16);
    target.ram[0x9000 + 0x80 * 16 + 5] = 0x8e;
    target.onRun = () => 1;
    expect(await reply("s")).toBe("T05thread:1;");
    expect(target.runs[0]).toMatchObject({ flags: 0, addresses: [0x5000n], dr7: 2 });
    at(0xcd, 0x80);
    expect(await reply("s")).toBe("T05thread:1;");
    expect(target.runs[1]?.addresses).toEqual([0x6000n]);
  });

  test("that raises an exception ends at its handler", async () => {
    at(0x90);
    target.values[Register.IdtrBase] = 0x9000n;
    target.ram.writeUInt16LE(0x6000, 0x9000 + 14 * 16);
    target.ram[0x9000 + 14 * 16 + 5] = 0x8e;
    target.onRun = ({ flags }) => {
      if (!(flags & DebugFlag.Step)) return 1;
      target.injected = 0x80000b0en;
      return DebugStop.Event;
    };
    expect(await reply("s")).toBe("T05thread:1;");
    expect(target.runs.map(({ addresses }) => addresses)).toEqual([[], [0x6000n]]);
  });
});

property.prop([
  fc.array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom(
        "c",
        "s",
        "vCont;c",
        "qXfer:features:read:target.xml:ffffff,1",
        "Z9,0,0",
        "Z0,,",
        "P=,",
        "G",
        "qRcmd,zz",
        "X0,fffffff:",
        "mffffffffffffff,ffffffff",
      ),
    ),
    { maxLength: 12 },
  ),
])("no packet breaks it", async (packets) => {
  const fake = new FakeTarget();
  fake.onRun = () => DebugStop.Step;
  const replies: string[] = [];
  const reader = new PacketReader();
  const one = new Stub(fake, {
    send: (bytes) => {
      for (const received of reader.feed(bytes)) if (received.kind === "packet") replies.push(received.data.toString("latin1"));
    },
    monitor: async () => "",
    done: () => {},
    kill: async () => {},
  });
  for (const packet of packets) one.receive(encodePacket(Buffer.from(packet)));
  one.receive(encodePacket("qC"));
  for (let turn = 0; turn < 2000 && replies.at(-1) !== "QC1" && replies.at(-1) !== "E10"; turn++)
    await new Promise((resolve) => setImmediate(resolve));
  expect(["QC1", "E10"]).toContain(replies.at(-1));
});
