// The tools that look inside, as a person uses them: daemon, command line, gdb, and guests that stand where the test knows it.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Guest, Hvkit, TestGuests } from "hvkit/vitest";
import { describe, expect, onTestFinished } from "vitest";
import type { Certainty, Finding } from "../../control/src/why/finding.js";
import { commandLine, said, testGuest, testsOnEach } from "./support/fixture.js";
import { within } from "./support/suite.js";
import { onEachEngine } from "./support/targets.js";

// One CPU: who waits for it is asked below.
const tests = testsOnEach({ memory: "256M" });

/** Modes of test/guests/hang. */
const HANG = {
  ...{ sleep: 0, masked: 1, noEoi: 2, noPic: 3, noOut2: 4, waits: 5, polls: 6, spins: 7, ticks: 8, noGates: 9, noStack: 10 },
  ...{ storm: 11, noIer: 12, noRts: 13, cascade: 14, unbacked: 15, refused: 16 },
} as const;

onEachEngine("looking inside", (target) => {
  const test = tests(target);

  const json = async <T>(hvkit: Hvkit, ...args: string[]): Promise<T> => JSON.parse(await commandLine(hvkit, ...args, "--json")) as T;

  /** A guest of test/guests that has said its first line. */
  const run = async (guests: TestGuests, name: string, line: string, append = ""): Promise<Guest> => {
    const guest = await guests.run(testGuest(name), { append });
    await guest.waitFor(line, { timeoutMs: within(target, 20) });
    return guest;
  };
  const hang = (guests: TestGuests, mode: number): Promise<Guest> => run(guests, "hang", `hang: mode ${mode}\n`, `mode=${mode}`);

  /** It may not have come to where it hangs when it is looked at first. */
  async function finds(guest: Guest, code: string, certainty?: Certainty): Promise<Finding[]> {
    const until = Date.now() + within(target, 10);
    for (;;) {
      const findings = await guest.why();
      const mine = findings.find((finding) => finding.code === code);
      if ((mine && (certainty === undefined || mine.certainty === certainty)) || Date.now() > until) {
        expect(findings.map((finding) => finding.code)).toContain(code);
        return findings;
      }
    }
  }
  const found = (findings: Finding[], code: string): Finding => findings.find((finding) => finding.code === code) as Finding;

  /** For this test's files. */
  function folderOfTest(): string {
    const folder = mkdtempSync(join(tmpdir(), "hvkit-look-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return folder;
  }

  describe("why", () => {
    test("HLT, and what could end it", async ({ guests }) => {
      const waiting = [
        ["sleep", "no-timer", "certain", /nothing can wake it/],
        ["masked", "interrupt-masked", "certain", /IRQ0 \(timer\) is masked in the master PIC's IMR \(bit 0 of port 21h\)/],
        ["noEoi", "no-eoi", "certain", /IRQ0 \(timer\) is still in service/],
        ["noPic", "pic-not-initialized", "certain", /the master PIC was never initialized/],
        ["cascade", "interrupt-masked", "certain", /IRQ8 \(RTC\) comes through the cascade, IRQ2, which is masked/],
        ["waits", "waits-for-input", "likely", /waits for input on COM1/],
        ["ticks", "idle", "likely", /a timer wakes it/],
      ] as const;
      // They sleep: none is in another's way.
      await Promise.all(
        waiting.map(async ([mode, code, certainty, text]) => {
          const [finding, ...others] = await finds(await hang(guests, HANG[mode]), code, certainty);
          expect(finding).toMatchObject({ code, certainty, text: expect.stringMatching(text) });
          expect(finding?.evidence[0]).toMatch(/just after a HLT/);
          expect(others).toEqual([]);
        }),
      );
    });

    test("input that no interrupt tells of", async ({ guests, hvkit }) => {
      const silent = [
        ["noOut2", "uart-gate-closed", /MCR\.OUT2 is 0/],
        ["noIer", "uart-interrupt-off", /its IER does not let received data interrupt/],
        ["noRts", "uart-rts-off", /3 bytes of input wait for COM1, but the guest holds RTS down/],
      ] as const;
      const deaf = await Promise.all(
        silent.map(async ([mode, code, text]) => {
          const guest = await hang(guests, HANG[mode]);
          await guest.write("abc");
          const [finding] = await finds(guest, code, "certain");
          expect(finding).toMatchObject({ code, certainty: "certain", text: expect.stringMatching(text) });
          return guest;
        }),
      );
      const machine = await json<{ uarts: object[] }>(hvkit, "machine", deaf[0]?.id ?? "");
      expect(machine.uarts[0]).toMatchObject({ port: "COM1", received: "616263", waiting: 0, cause: "received data", gateOpen: false });
    });

    test("a loop, with the instruction; of one exit, with the port", async ({ guests }) => {
      const spins = await finds(await hang(guests, HANG.spins), "spinning");
      expect(spins[0]).toMatchObject({ certainty: "certain", evidence: expect.arrayContaining([expect.stringMatching(/ jmp short /)]) });
      const deaf = await hang(guests, HANG.polls);
      const polls = await finds(deaf, "exit-storm");
      expect(polls[0]).toMatchObject({ code: "exit-storm", text: expect.stringMatching(/'io-in'/) });
      expect(polls[0]?.evidence.join()).toMatch(/port 64h, keyboard controller's status/);
      expect(found(await finds(deaf, "spinning-interrupts-off"), "spinning-interrupts-off").text).toMatch(/, with interrupts off: /);
      const storm = await finds(await hang(guests, HANG.storm), "interrupt-storm");
      expect(found(storm, "interrupt-storm")).toMatchObject({ certainty: "likely", evidence: ["IRQ4 (COM1) is up or in service"] });
    });

    test("a turn that does not come", async ({ guests }) => {
      const [first] = await Promise.all(Array.from({ length: 8 }, () => hang(guests, HANG.spins)));
      const finding = found(await finds(first as Guest, "waits-for-cpu"), "waits-for-cpu");
      expect(finding.evidence.join()).toMatch(/CPU 0: \d+ % busy/);
    });

    test("triple faults, with the faults that led to them", async ({ guests }) => {
      const gates = await finds(await hang(guests, HANG.noGates), "triple-fault");
      expect(gates[0]?.evidence.slice(0, 4)).toEqual([
        expect.stringMatching(/^first came #PF at 0x700000000000 \(CR2\): the PML4 entry at guest-physical 0x[0-9a-f]+ is not present; /),
        expect.stringMatching(/^it could not be delivered: #PF's gate at 0x[0-9a-f]+ is not present \(it is all zeros\)$/),
        expect.stringMatching(/^the double fault neither: #DF's gate at 0x[0-9a-f]+ is not present/),
        expect.stringMatching(/^RIP 0x[0-9a-f]+: mov rax,\[rax\]$/),
      ]);
      const stack = await finds(await hang(guests, HANG.noStack), "triple-fault");
      expect(stack[0]?.evidence.join("\n")).toMatch(
        /^first came #PF at 0x6ffffffffff8 .*\n.*the handler of #PF has no stack: RSP is 0x700000000000/,
      );
      const limit = await finds(await run(guests, "triple", "triple: now"), "triple-fault");
      expect(limit[0]?.evidence.slice(0, 2)).toEqual([
        expect.stringMatching(/^first came #UD; /),
        "it could not be delivered: the IDT's limit is 0: there is no gate for #UD",
      ]);
    });

    test("HLT with interrupts off, a pause, and what has ended by itself", async ({ guests, hvkit }) => {
      const halted = await run(guests, "halted", "halted: now");
      const [finding] = await finds(halted, "halted-forever");
      expect(finding?.evidence.join("\n")).toMatch(/just after a HLT\nRFLAGS \[.*\]: interrupts are off/);
      expect(await commandLine(hvkit, "ps")).toMatch(/exited \(halted-forever/);
      const guest = await hang(guests, HANG.ticks);
      await guest.pause();
      const { findings } = await json<{ findings: Finding[] }>(hvkit, "why", guest.id);
      expect(findings).toMatchObject([{ code: "paused", certainty: "certain" }]);
      await guest.kill();
      expect((await finds(guest, "killed"))[0]?.text).toMatch(/^It has ended, and does not hang/);
    });

    test("memory that is not there, a task switch, and a state that no CPU enters", async ({ guests }) => {
      const unbacked = await finds(await hang(guests, HANG.unbacked), "unbacked-memory");
      expect(unbacked[0]).toMatchObject({ text: expect.stringMatching(/c0000000/i), hint: expect.stringMatching(/--memory/) });
      expect(unbacked[0]?.evidence[0]).toMatch(/^RIP 0x[0-9a-f]+: mov byte \[rax\],0$/);
      const tasks = await run(guests, "tasks", "tasks: now\n");
      const vmx = target.vendor === "Intel VMX";
      // Under SVM the CPU switches tasks itself, and the second one powers off.
      const [switched] = await finds(tasks, vmx ? "task-switch" : "power-off");
      expect(switched?.evidence[0]).toMatch(vmx ? /^RIP 0x[0-9a-f]+: jmp / : /^RIP 0x/);
      // Under VMX CR0 is the hypervisor's to check, and the guest gets #GP, for which it has no handler but the one that tells of it.
      const refused = await finds(await hang(guests, HANG.refused), vmx ? "power-off" : "entry-failed");
      if (!vmx) expect(refused[0]?.hint).toMatch(/`hvkit explain` says which check fails/);
    });

    test("one that has not begun, and one whose hypervisor is gone", async ({ guests, hvkit }) => {
      const image = join(folderOfTest(), "big");
      mkdirSync(image);
      copyFileSync(join(testGuest("hang"), "hang"), join(image, "hang"));
      writeFileSync(join(image, "data"), Buffer.alloc(64 * 2 ** 20, "no page of zeros"));
      const files = { kernel: "hang", modules: [{ file: "data" }] };
      writeFileSync(
        join(image, "image.json"),
        JSON.stringify({ name: "big", description: "slow", kind: "multiboot", memory: "80M", files }),
      );
      let loaded = false;
      const running = guests.run(image, { name: "big" }).finally(() => {
        loaded = true;
      });
      const seen = new Set<string>();
      while (!loaded && !seen.has("starting")) {
        const findings = await hvkit.guest("big").then(
          (big) => big.why(),
          () => [], // it is not there yet
        );
        for (const { code } of findings) seen.add(code);
      }
      const guest = await running;
      expect([...seen]).toContain("starting");
      const { engine } = await hvkit.status();
      process.kill(engine?.pid ?? 0, "SIGKILL");
      await expect.poll(async () => (await guest.inspect()).state, { timeout: within(target, 20) }).toBe("lost");
      expect((await finds(guest, "lost"))[0]?.text).toBe("It went down with the hypervisor.");
      // The tests that follow want one.
      await expect.poll(async () => (await hvkit.status()).state, { timeout: within(target, 60) }).toBe("running");
    });
  });

  test("cpu, disasm, walk and mem show one guest's one place", async ({ guests, hvkit }) => {
    const guest = await hang(guests, HANG.sleep);
    await finds(guest, "no-timer");
    const cpu = await json<{ mode: string; bits: Record<string, string[]>; registers: Record<string, string>; segments: object[] }>(
      hvkit,
      "cpu",
      guest.id,
    );
    expect(cpu).toMatchObject({ mode: "64-bit mode", privilege: 0, paging: "4-level paging" });
    expect(cpu.bits).toMatchObject({
      cr0: expect.arrayContaining(["PE", "PG"]),
      efer: ["LME", "LMA"],
      rflags: expect.arrayContaining(["IF"]),
    });
    expect(cpu.segments).toContainEqual(expect.objectContaining({ name: "cs", selector: 8, kind: "64-bit code" }));
    const rip = BigInt(cpu.registers.rip as string);

    const code = await json<{ instructions: { address: string; bytes: string; text: string; current: boolean }[] }>(
      hvkit,
      "disasm",
      guest.id,
      "rip-1",
      "-n",
      "2",
    );
    expect(code.instructions).toMatchObject([
      { bytes: "f4", text: "hlt", current: false },
      { address: `0x${rip.toString(16)}`, text: expect.stringMatching(/^jmp short /), current: true },
    ]);
    const bytes = code.instructions.map((instruction) => instruction.bytes).join("");
    for (const way of ["--virtual", "--physical"]) {
      expect((await json<{ hex: string }>(hvkit, "mem", guest.id, "rip-1", String(bytes.length / 2), way)).hex).toBe(bytes);
    }

    const walk = await json<Record<string, unknown> & { nested: { entries: { flags: string[] }[] }[] }>(
      hvkit,
      "walk",
      guest.id,
      "rip",
      "--nested",
    );
    expect(walk).toMatchObject({ mode: "4-level", physical: `0x${rip.toString(16)}`, pageBytes: 2 ** 21, fault: null });
    expect(walk.tables).toBe(target.vendor === "Intel VMX" ? "EPT" : "NPT");
    expect(walk.nested).toHaveLength(4); // of the guest's three tables, and of the page
    for (const { entries } of walk.nested)
      expect(entries.at(-1)?.flags).toEqual(expect.arrayContaining(["read", "write", "execute", "large"]));
    await expect(commandLine(hvkit, "disasm", guest.id, "0x700000000000")).rejects.toThrow(
      /E_UNMAPPED: .* the PML4 entry at guest-physical/,
    );
  });

  test("machine tells the timer's rate, and goes on with the guest's time", async ({ guests, hvkit }) => {
    const guest = await hang(guests, HANG.ticks);
    await finds(guest, "idle");
    const machine = await json<{ clockNs: string; pits: object[]; pics: object[]; timers: { source: string }[] }>(
      hvkit,
      "machine",
      guest.id,
    );
    expect(machine.pits[0]).toMatchObject({ mode: 2, state: "running", reload: 11931, hz: 100.007 });
    expect(machine.pics[0]).toMatchObject({ initialized: true, vector: 0x20, masked: [1, 2, 3, 4, 5, 6, 7], expects: null });
    expect(machine.timers).toMatchObject([{ source: "pit" }]);
    const later = await guest.machine();
    expect(Number(later.clockNs)).toBeGreaterThan(Number(machine.clockNs));
    expect(await commandLine(hvkit, "machine", guest.id)).toMatch(
      /^PIT 0: +mode 2, rate generator: counts from 11931, is at \d+, 100.007 Hz/m,
    );
  });

  test("gdb opens a dump: registers, memory by the guest's addresses, and physical", async ({ guests, hvkit }) => {
    const guest = await hang(guests, HANG.ticks);
    await guest.pause();
    const registers = await guest.regs();
    const word = Buffer.from(await guest.mem(Number(registers.rsp), 8)).readBigUInt64LE();
    const core = join(folderOfTest(), "hang.core");
    for (const way of [[], ["--physical"]]) {
      const { segments } = await json<{ segments: number }>(hvkit, "dump", guest.id, "-o", core, ...way);
      // The tables map 4 GiB one to one, of which 4 MiB are there.
      expect(segments).toBe(1);
      expect(statSync(core).size).toBeGreaterThan(4 * 2 ** 20);
      expect(statSync(core).blocks * 512).toBeLessThan(2 ** 20); // pages of zeros take no room
      const show = ["info registers rip rsp cs", "x/1gx $rsp", "x/1i $rip-1"].flatMap((command) => ["-ex", command]);
      const lines = (await said("gdb", ["-nx", "-batch", ...show, "-c", core])).split("\n");
      const line = (start: RegExp): string => lines.find((text) => start.test(text)) ?? "";
      expect(BigInt(line(/^rip /).split(/\s+/)[1] ?? 0)).toBe(registers.rip);
      expect(BigInt(line(/^rsp /).split(/\s+/)[1] ?? 0)).toBe(registers.rsp);
      expect(BigInt(line(/^0x[0-9a-f]+:\t0x/).split("\t")[1] ?? 0)).toBe(word);
      expect(lines.join("\n")).toMatch(/\thlt/);
    }
    const notes = await said("readelf", ["-nW", core]);
    expect(notes).toMatch(/CORE +0x00000150\tNT_PRSTATUS/);
    expect(readFileSync(core).readUInt16LE(16)).toBe(4); // ET_CORE
  });
});
