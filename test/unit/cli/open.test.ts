// Commands on a snapshot's file, with no daemon near: what they print, what they refuse, and that the file is never written.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EntryDocument } from "../../../control/src/api/entrystate.js";
import { outputs } from "../../../control/src/api/outputs.js";
import { projectRoot } from "../../../control/src/api/root.js";
import { captured } from "../../../control/src/cli/output.js";
import { commandTree } from "../../../control/src/cli/program.js";
import { digestOf } from "../../../control/src/hypervisor/digest.js";
import { HEADER } from "../../../control/src/snapshot/format.js";
import { Register } from "../../../protocol/state.js";
import { openPty } from "../../support/pty.js";
import { Kernel, MIB } from "../linux/kernel.js";
import { Board } from "../machine/devices/board.js";
import { fileOf } from "../offline/saved.js";

const MAIN = join(projectRoot(), "build/js/control/src/cli/main.js");
/** mov eax, 1; hlt */
const CODE = [0xb8, 1, 0, 0, 0, 0xf4];

let folder = "";
let path = "";
let file: Buffer;
const env = { ...process.env };

const hvkit = (...words: string[]): Promise<string> =>
  captured(async () => void (await (await commandTree(words[0])).parseAsync(words, { from: "user" })));
const json = async (...words: string[]): Promise<Record<string, unknown>> => {
  const value = JSON.parse(await hvkit(...words, "--json")) as Record<string, unknown>;
  expect(outputs[words[0] ?? ""]?.safeParse(value), words.join(" ")).toMatchObject({ success: true });
  return value;
};
const refusal = async (...words: string[]): Promise<string> =>
  hvkit(...words).then(
    () => "",
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  );
const hint = async (...words: string[]): Promise<string | undefined> =>
  hvkit(...words).then(
    () => undefined,
    (error: { hint?: string }) => error.hint,
  );
const open = async (...lines: string[]): Promise<string[]> =>
  (await hvkit("open", path, ...lines.flatMap((line) => ["-c", line]))).split("\n");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hvkit-open-"));
  process.env.XDG_RUNTIME_DIR = folder;
  process.env.XDG_DATA_HOME = folder;
  const board = new Board({ wallSeconds: 1_800_000_000 });
  board.initPics(0x10);
  board.out(0x3fc, 0x0b);
  board.out(0x3f9, 1);
  const { ram } = new Kernel()
    .write({ text: "Linux version 6.1.0-test", level: 5 })
    .write({ text: "Kernel panic - not syncing: Attempted to kill init!", ns: 2_000_000_000n, level: 0 });
  ram.set(CODE, 0x7c00);
  const registers = {
    ...{ [Register.Rip]: 0x7c00n, [Register.Rsp]: 0x7000n, [Register.Rflags]: 0x202n, [Register.Cr0]: 0x11n, [Register.Rax]: 0x1234n },
    ...{ [Register.CsAttributes]: 0xc09bn, [Register.SsAttributes]: 0xc093n, [Register.CsLimit]: 0xffff_ffffn },
  };
  file = await fileOf(board, { ram, registers });
  path = join(folder, "web.hvsnap");
  writeFileSync(path, file);
});
afterAll(() => {
  expect(readFileSync(path).equals(file)).toBe(true);
  process.env = env;
  rmSync(folder, { recursive: true, force: true });
});

describe("a snapshot is read as a guest is", () => {
  it("by regs and cpu", async () => {
    expect(await json("regs", path)).toMatchObject({ name: "web", state: "saved", registers: { rip: "0x7c00", rax: "0x1234" } });
    expect(await json("cpu", path)).toMatchObject({ guest: "web", state: "saved", mode: "protected mode, 32-bit code" });
    expect(await hvkit("regs", path)).toContain("HLT=0 (saved)");
  });

  it("by mem, disasm and walk", async () => {
    expect(await hvkit("mem", path, "0x7c00", "6")).toBe("00007c00: b801 0000 00f4                           ......");
    expect(await json("mem", path, "rip", "6", "--virtual")).toMatchObject({ hex: "b801000000f4" });
    expect(await json("disasm", path, "-n", "2")).toMatchObject({
      instructions: [{ text: "mov eax,1", current: true }, { text: "hlt" }],
    });
    expect(await json("walk", path, "rsp")).toMatchObject({ mode: "none", physical: "0x7000", tables: null, nested: [] });
    expect(await refusal("mem", path, `${4 * MIB - 1}`, "2")).toMatch(/^E_ADDRESS: /);
  });

  it("by machine, why and dmesg", async () => {
    expect(await json("machine", path)).toMatchObject({ pics: [{ vector: 0x30 }, {}], uarts: [{ gateOpen: true }, {}] });
    expect(await json("why", path)).toMatchObject({
      state: "saved",
      findings: [{ code: "kernel-panic", certainty: "certain", text: "Linux panicked: Attempted to kill init!" }],
    });
    expect(await hvkit("dmesg", path, "-l", "emerg")).toBe("[    2.000000] Kernel panic - not syncing: Attempted to kill init!");
    expect(await json("dmesg", path, "-n", "1")).toMatchObject({ release: "6.1.0-test", lost: 0, records: [{ level: "emerg" }] });
  });

  it("by dump", async () => {
    const core = join(folder, "web.core");
    expect(await json("dump", path, "-o", core)).toMatchObject({ file: core, segments: 1, architecture: "i386" });
    expect(readFileSync(core).subarray(0x1000 + 0x7c00, 0x1000 + 0x7c06)).toEqual(Buffer.from(CODE));
  });
});

describe("inspect", () => {
  it("says what the file does: the guest, and how it stands", async () => {
    const [found] = JSON.parse(await hvkit("inspect", path)) as Record<string, unknown>[];
    expect(outputs.inspect?.safeParse([found])).toMatchObject({ success: true });
    expect(found).toMatchObject({
      state: "saved",
      path,
      guest: { name: "web" },
      memoryBytes: 4 * MIB,
      rip: "0x7c00",
      idle: false,
      clockNs: "0",
    });
    const [headers] = JSON.parse(await hvkit("snapshot", "inspect", path)) as Record<string, unknown>[];
    expect(found).toMatchObject(headers as object);
    expect(await open("inspect")).toEqual(JSON.stringify([found], null, 2).split("\n"));
  });

  it("refuses a damaged file, of which snapshot inspect reads the beginning alone", async () => {
    const cut = join(folder, "cut-inspect.hvsnap");
    writeFileSync(cut, file.subarray(0, file.length - 100));
    expect(await refusal("inspect", cut)).toMatch(/^E_SNAPSHOT_DAMAGED/);
    expect(await refusal("snapshot", "inspect", cut)).toBe("");
  });
});

describe("explain", () => {
  it("makes the checks of the guest's part, for the CPU where it was saved or another one", async () => {
    expect(await json("explain", path)).toMatchObject({
      vendor: "svm",
      guest: { name: "web" },
      fields: { Efer: "0x1000", Cr0: "0x11", CsAccess: "0xc9b", Cpl: "0x0" },
      checks: { failed: [] },
    });
    // Nobody has loaded a segment here: what SVM does not look at, VMX refuses.
    const { fields, checks } = (await json("explain", path, "--vendor", "vmx")) as unknown as EntryDocument;
    expect(fields).toMatchObject({ GuestCr0: "0x31", GuestCr4: "0x2000", GuestCsAccess: "0xc09b" });
    expect(checks.failed.map(({ rule, fields: [field] }) => `${rule} ${field?.name}`)).toEqual(
      expect.arrayContaining(["vmx.SegmentPresent GuestTrAccess", "vmx.DataAccessed GuestEsAccess", "vmx.Granularity GuestSsLimit"]),
    );
    expect(checks.notMade.map(({ rule }) => rule)).toEqual(["vmx.Cr0Fixed", "vmx.Cr4Fixed"]);
    expect(await hvkit("explain", path)).toMatch(/^web, as it was saved, on AMD SVM\nEvery check passes\..*Checked is the guest's part/s);
    expect((await open("explain"))[0]).toBe("web, as it was saved, on AMD SVM");
  });

  it("knows a snapshot by its beginning, and other files as ever", async () => {
    const elsewhere = join(folder, "attachment.bin");
    writeFileSync(elsewhere, file);
    expect(await json("explain", elsewhere)).toMatchObject({ guest: { name: "web" } });
    const state = join(folder, "state.json");
    await hvkit("explain", path, "-o", state);
    expect((JSON.parse(readFileSync(state, "utf8")) as EntryDocument).fields).toMatchObject({ Rip: "0x7c00", Rax: "0x1234" });
    expect((await hvkit("explain", state)).split("\n")[1]).toBe("Every check that could be made passes.");
    expect(await refusal("explain", state, "--vendor", "svm")).toBe("E_USAGE: --vendor is of a snapshot");
  });
});

describe("what a snapshot has not", () => {
  it.each([
    [["stats"], "counters of its exits"],
    [["trace"], "recorded exits"],
    [["logs"], "console log"],
    [["clone"], "guest behind it that could be copied"],
    [["console"], "console to type into"],
  ])("is said by %j", async ([command = ""], what) => {
    expect(await refusal(command, path)).toBe(`E_NOT_LIVE: '${path}' is a snapshot, which has no ${what}`);
  });

  it("is said with what makes a guest of it", async () => {
    for (const command of ["clone", "console", "stats"]) expect(await hint(command, path)).toContain(`hvkit run --from ${path}`);
  });

  it("is said by walk --nested, and of one in the store, too", async () => {
    expect(await refusal("walk", path, "rip", "--nested")).toMatch(/^E_NOT_LIVE: .* has no nested tables$/);
    expect(await refusal("stats", "snapshot:web")).toMatch(/^E_NOT_LIVE/);
  });

  it("a guest has: without a daemon that is what is missing", async () => {
    expect(await refusal("regs", "web")).toMatch(/^E_NOT_UP/);
  });
});

describe("a file", () => {
  const as = (name: string, bytes: Uint8Array): string => {
    const at = join(folder, name);
    writeFileSync(at, bytes);
    return at;
  };

  it("that is not there, is no snapshot, or is damaged, is refused", async () => {
    for (const command of ["regs", "open"]) {
      expect(await refusal(command, join(folder, "none.hvsnap"))).toMatch(/^E_NO_SNAPSHOT/);
      expect(await refusal(command, folder)).toMatch(/^E_SNAPSHOT_(FORMAT|FILE)/);
      expect(await refusal(command, as("text.hvsnap", Buffer.from("what is this?".repeat(9))))).toMatch(
        /^E_SNAPSHOT_FORMAT: \/.*\/text\.hvsnap: this is not a/,
      );
      expect(await refusal(command, as("cut.hvsnap", file.subarray(0, file.length - 100)))).toMatch(
        /^E_SNAPSHOT_DAMAGED: \/.*\/cut\.hvsnap: /,
      );
      const flipped = Buffer.from(file);
      flipped[file.length >> 1] = (flipped[file.length >> 1] ?? 0) ^ 4;
      expect(await refusal(command, as("flipped.hvsnap", flipped))).toMatch(/^E_SNAPSHOT_DAMAGED: \/.*\/flipped\.hvsnap: /);
    }
  });

  it("of a newer version is refused by its number", async () => {
    const newer = Buffer.from(file);
    newer.writeUInt32LE(2, HEADER.version);
    const json = newer.subarray(HEADER.json, HEADER.json + newer.readUInt32LE(HEADER.jsonBytes));
    newer.writeBigUInt64LE(await digestOf(newer.subarray(0, HEADER.digest), json), HEADER.digest);
    const path = as("newer.hvsnap", newer);
    expect(await refusal("machine", path)).toBe(
      `E_SNAPSHOT_FORMAT: ${path}: the snapshot has format version 2; this build reads version 1`,
    );
  });

  it("in the store is named by snapshot:NAME, and by its name alone where nothing else can be meant", async () => {
    expect(await refusal("regs", "snapshot:web")).toMatch(/^E_NO_SNAPSHOT/);
    expect(await refusal("open", "web")).toMatch(/^E_NO_SNAPSHOT/);
    expect(await hint("open", "web")).toMatch(/`hvkit snapshot create GUEST` makes one of a guest/);
  });
});

describe("open", () => {
  it("reads with the commands, and drives the devices; reading sees what was done", async () => {
    expect(await open("in 3fd", "out 3f8 41", "tick 1ms", "irq", "type 'ls\\n'", "in 3f8 1", "irq", "take", "regs")).toEqual(
      expect.arrayContaining(["60h", 'COM1 sent "A"', "CPU: no interrupt comes to it", "6ch"]),
    );
    const lines = await open("type a", "tick 1s", "take", "machine", "irq");
    expect(lines).toContain("interrupt vector 34h");
    expect(lines.join("\n")).toMatch(/in service \(ISR\): IRQ4 \(COM1\)/);
    expect(lines.at(-1)).toBe("CPU: no interrupt comes to it");
  });

  it("with --json says all of it in one line each", async () => {
    const lines = (
      await hvkit("open", path, "--json", "-c", "type a", "-c", "tick 1s", "-c", "mem 0x7c00 2", "-c", "out f4 0", "-c", "reload")
    ).split("\n");
    const values = lines.map((line) => JSON.parse(line) as { command: string; result: Record<string, unknown> });
    for (const value of values) expect(outputs.open?.safeParse(value)).toMatchObject({ success: true });
    expect(values).toMatchObject([
      { command: "type a", result: { port: "COM1", bytes: "61", requests: [{ irq: 4, kind: "taken" }] } },
      { command: "tick 1s", result: { ns: "1000000000", clockNs: "1000000000", requests: [{ irq: 4, kind: "taken" }], end: null } },
      { command: "mem 0x7c00 2", result: { hex: "b801" } },
      { command: "out f4 0", result: { end: { code: "debug-exit" } } },
      { command: "reload", result: {} },
    ]);
  });

  it("goes back to the file by reload", async () => {
    const lines = await open("out 3ff 5a", "in 3ff", "reload", "in 3ff", "cpuid 0");
    expect(lines).toEqual(["5ah", "00h", "EAX=00000015 EBX=68747541 ECX=444d4163 EDX=69746e65"]);
  });

  it.each([
    ["frob", "E_USAGE: there is no verb 'frob'"],
    ["in", "E_USAGE: in was given 0 words"],
    ["in 3f8 3", "E_NUMBER: '3' is no size of a port's access"],
    ["in 10000", "E_NUMBER: port '10000' is not possible"],
    ["out 80 100", "E_NUMBER: value '100' is not possible"],
    ["tick 5", "E_NUMBER: '5' is no time"],
    ["tick 1000000000s", "E_NUMBER: '1000000000s' is too long a time"],
    ["tick 99999999999999999999999s", "E_NUMBER: '99999999999999999999999s' is too long a time"],
    [String.raw`type '\x4'`, String.raw`E_ESCAPE: '\x4' stands for no byte`],
    [String.raw`type '\q'`, String.raw`E_ESCAPE: '\q' stands for no byte`],
    ["type com3 x", "E_PORT: the guest has no serial port 'com3'"],
    ["mem zero", "E_NUMBER: 'zero' is not an address"],
    ["walk rip --nested", "E_NOT_LIVE: 'snapshot:' is a snapshot, which has no nested tables"],
  ])("refuses: %s", async (line, message) => {
    expect(await refusal("open", path, "-c", "help", "-c", line)).toBe(message);
  });

  it("leaves at quit, and passes over what is empty or a comment", async () => {
    expect(await open("", "# nothing", "in 80", "quit", "frob")).toEqual(["00h"]);
  });
});

describe.skipIf(process.platform !== "linux" || !existsSync(MAIN))("open at a terminal", () => {
  it("asks, goes on after what is wrong, completes, and leaves at ^D", { timeout: 60_000 }, async () => {
    const pty = openPty();
    const near = openSync(pty.path, constants.O_RDWR | constants.O_NOCTTY);
    const child = spawn(process.execPath, [MAIN, "open", path], { stdio: [near, near, near], env: { ...process.env, NO_COLOR: "1" } });
    const ended = once(child, "close");
    let seen = "";
    pty.far().on("data", (bytes: Buffer) => {
      seen += bytes.toString("latin1");
    });
    /** The answer to what was typed, up to the next prompt. */
    const type = async (keys: string): Promise<string> => {
      seen = "";
      pty.far().write(keys);
      await expect.poll(() => seen, { timeout: 20_000 }).toMatch(/web> [^>]*$/);
      return seen;
    };
    await expect.poll(() => seen, { timeout: 40_000 }).toMatch(/The file is never written.*web> /s);
    expect(await type("in 3fd\r")).toMatch(/\r\n60h\r\n/);
    expect(await type("frob\r")).toMatch(/E_USAGE: there is no verb 'frob'/);
    expect(await type("mem\r")).toMatch(/E_USAGE: missing required argument 'address'/);
    pty.far().write("disa");
    await expect.poll(() => seen, { timeout: 20_000 }).toMatch(/disa$/);
    pty.far().write("\t");
    await expect.poll(() => seen, { timeout: 20_000 }).toMatch(/disasm /);
    expect(await type("-n 1\r")).toMatch(/=> 00007c00 {2}b801000000 {2,}mov eax,1\r\n/);
    pty.far().write("\x04");
    expect(await ended).toEqual([0, null]);
    pty.far().destroy();
    closeSync(near);
  });
});
