// Each finding from evidence that has it, and from evidence that only looks like it.
import { describe, expect, it } from "vitest";
import { showFindings } from "../../../control/src/cli/commands/why.js";
import { diagnose } from "../../../control/src/why/diagnose.js";
import { activityOf } from "../../../control/src/why/evidence.js";
import { asleep, evidence, RIP, running, samples, standing } from "./evidence.js";

const HLT = { before: "90f4" };
const codes = (...args: Parameters<typeof diagnose>): string[] => diagnose(...args).map(({ code, certainty }) => `${code} ${certainty}`);

describe("a guest in HLT", () => {
  it.each([
    ["nothing at all", {}, "no-timer certain"],
    ["a request that is masked", { "picMaster.irr": 1n, "picMaster.imr": 1n }, "interrupt-masked certain"],
    ["a request of the slave, with the cascade masked", { "picSlave.irr": 1n, "picMaster.imr": 4n }, "interrupt-masked certain"],
    [
      "a PIC that was never initialized",
      { "picMaster.irr": 1n, "picMaster.imr": 255n, "picMaster.icw1": 0n },
      "pic-not-initialized certain",
    ],
    ["a PIC whose initialization is not complete", { "picMaster.irr": 1n, "picMaster.expected": 3n }, "pic-not-initialized certain"],
    ["an interrupt that was never ended", { "picMaster.irr": 3n, "picMaster.imr": 2n, "picMaster.isr": 1n }, "no-eoi certain"],
    ["a timer", { "timers.pit": 2n * 10n ** 9n }, "idle likely"],
    ["a serial port that interrupts", { "com1.ier": 1n, "com1.mcr": 11n }, "waits-for-input likely"],
    ["a serial port whose interrupt is masked", { "com1.ier": 1n, "com1.mcr": 11n, "picMaster.imr": 16n }, "no-timer certain"],
    ["a serial port whose interrupt does not get out", { "com1.ier": 1n, "com1.mcr": 3n }, "no-timer certain"],
  ])("and %s", (_, records, expected) => {
    const found = codes(evidence({ standing: standing({ records, ...HLT }), running: asleep() }));
    expect(found[0]).toBe(expected);
  });

  it.each([
    ["OUT2 off", { "com1.ier": 1n, "com1.mcr": 3n, "com1.rxCount": 2n }, "uart-gate-closed"],
    ["its interrupt off", { "com1.mcr": 11n, "com1.rxCount": 2n }, "uart-interrupt-off"],
    ["RTS off", { "com1.ier": 1n, "com1.mcr": 9n, "com1.flowControl": 1n }, "uart-rts-off"],
  ])("with input, and %s", (_, records, code) => {
    const [finding] = diagnose(evidence({ standing: standing({ records, inputBytes: [5, 0], ...HLT }), running: asleep() }));
    expect(finding?.code).toBe(code);
  });

  it("that is woken all the time may well not wait for what is kept back", () => {
    const records = { "picMaster.irr": 16n, "picMaster.imr": 16n, "timers.pit": 2n * 10n ** 9n };
    expect(codes(evidence({ standing: standing({ records, ...HLT }), running: asleep(30n) }))).toEqual(["interrupt-masked possible"]);
  });

  it("may be seen at work now and then", () => {
    const seen = [...samples(10, true), ...samples(2, false)];
    const [finding] = diagnose(evidence({ standing: standing(HLT), running: running({ samples: seen, activity: { injected: 3n } }) }));
    expect(finding).toMatchObject({ code: "idle", certainty: "likely" });
    expect(finding?.evidence).toContain("it was halted at 10 of 12 looks");
    const kept = standing({ records: { "picMaster.irr": 1n, "picMaster.imr": 1n }, ...HLT });
    expect(codes(evidence({ standing: kept, running: running({ samples: seen }) }))).toEqual(["interrupt-masked possible"]);
    const busier = [...samples(8, true), ...samples(4, false)];
    expect(codes(evidence({ standing: standing(HLT), running: running({ samples: busier }) }))).toEqual(["working possible"]);
  });

  it("has its evidence: where it stands, and what it was seen to do", () => {
    const [finding] = diagnose(evidence({ standing: standing(HLT), running: asleep() }));
    expect(finding?.evidence).toEqual([
      "RIP 0x100000: just after a HLT",
      "RFLAGS [IF]: interrupts are on",
      "it was halted at all of 12 looks",
      "PIT 0: no count was written",
    ]);
  });
});

describe("a guest that executes", () => {
  const loop = { code: "ebfe" };
  it("spins in a jump to itself, whatever its registers do", () => {
    expect(codes(evidence({ standing: standing(loop), running: running() }))).toEqual(["spinning certain"]);
  });

  it("spins in a short loop: surely when nothing changes", () => {
    const within = samples(12, false, (index) => RIP + BigInt(index));
    expect(codes(evidence({ standing: standing(), running: running({ samples: within }) }))).toEqual(["spinning likely"]);
    expect(codes(evidence({ standing: standing(), running: running({ samples: within, unchanged: true }) }))).toEqual(["spinning certain"]);
  });

  it("is told what IF keeps back", () => {
    const stood = standing({ ...loop, flags: 2n, records: { "picMaster.irr": 1n } });
    const [finding] = diagnose(evidence({ standing: stood, running: running() }));
    expect(finding).toMatchObject({
      code: "spinning-interrupts-off",
      text: expect.stringMatching(/^It spins at 0x100000, with interrupts off/),
    });
    expect(finding?.evidence).toContain("IRQ0 (timer) has been raised, and is kept back: IF is 0");
  });

  it("is at work when it is everywhere, or was halted at a look", () => {
    const apart = samples(12, false, (index) => RIP + BigInt(index * 4096));
    expect(codes(evidence({ standing: standing(), running: running({ samples: apart }) }))).toEqual(["working possible"]);
    const mixed = [...samples(11, false), ...samples(1, true)];
    expect(codes(evidence({ standing: standing(), running: running({ samples: mixed }) }))).toEqual(["working possible"]);
    expect(codes(evidence({ standing: standing(loop), running: running({ samples: samples(3, false) }) }))).toEqual(["working possible"]);
  });

  it.each([
    ["in al,0x64", { before: "e464", code: "90" }, {}, "port 64h, keyboard controller's status"],
    ["in al,dx", { before: "90ec", code: "90" }, { rdx: 0x3fdn }, "port 3FDh, COM1"],
    ["the IN that is next", { before: "9090", code: "ec" }, { rdx: 0x1234n }, "port 1234h"],
  ])("storms with one exit: %s", (_, where, registers, port) => {
    const activity = {
      exits: 1000n,
      byReason: new Map([
        ["io-in", 990n],
        ["cpuid", 10n],
      ]),
    };
    const apart = samples(12, false, (index) => RIP + BigInt(index * 4096));
    const [finding] = diagnose(evidence({ standing: standing(where, registers), running: running({ samples: apart, activity }) }));
    expect(finding).toMatchObject({
      code: "exit-storm",
      certainty: "certain",
      text: expect.stringMatching(/'io-in' over and over: 3300 a second, 99 %/),
    });
    expect(finding?.evidence[0]).toBe(port);
  });

  it("does not storm with a few, with many kinds, or by halting", () => {
    const apart = samples(12, false, (index) => RIP + BigInt(index * 4096));
    const quietly = (byReason: Map<string, bigint>, exits: bigint): string[] =>
      codes(evidence({ standing: standing(), running: running({ samples: apart, activity: { exits, byReason } }) }));
    expect(quietly(new Map([["io-in", 200n]]), 200n)).toEqual(["working possible"]);
    expect(
      quietly(
        new Map([
          ["io-in", 500n],
          ["io-out", 500n],
        ]),
        1000n,
      ),
    ).toEqual(["working possible"]);
    expect(quietly(new Map([["hlt", 900n]]), 900n)).toEqual(["working possible"]);
  });

  it("is kept busy by interrupts that come and come", () => {
    const busy = running({ samples: samples(12, false, (index) => RIP + BigInt(index * 4096)), activity: { injected: 30_000n } });
    const [finding] = diagnose(evidence({ standing: standing({ records: { "picMaster.lines": 16n } }), running: busy }));
    expect(finding).toMatchObject({ code: "interrupt-storm", evidence: ["IRQ4 (COM1) is up or in service"] });
  });

  it("waits for a CPU that others have", () => {
    const cpus = [{ index: 0, loadPercent: 100, guest: "greedy" }];
    const apart = samples(12, false, (index) => RIP + BigInt(index * 4096));
    const starved = running({ samples: apart, cpus, activity: { runNs: 20_000_000n } });
    const [finding] = diagnose(evidence({ standing: standing(), running: starved }));
    expect(finding).toMatchObject({ code: "waits-for-cpu", certainty: "likely" });
    expect(finding?.evidence).toEqual(["of 300 ms it ran 20 ms and waited 280 ms", "CPU 0: 100 % busy, now with 'greedy'"]);
  });
});

describe("a guest that does not run", () => {
  it("is paused, lost, or has not begun", () => {
    expect(codes(evidence({ state: "paused", standing: standing() }))).toEqual(["paused certain"]);
    expect(codes(evidence({ state: "paused", standing: standing(), debugged: true }))).toEqual(["debugged certain"]);
    expect(codes(evidence({ state: "restarting" }))).toEqual(["starting certain"]);
    expect(codes(evidence({ state: "lost" }))).toEqual(["lost certain"]);
  });

  const end = (code: string) => ({ code, text: "It did.", value: "0x0", rip: "0x0" });
  it("has ended, with what stood behind it", () => {
    const stood = standing({ ...HLT, flags: 2n, records: { "picMaster.irr": 1n } });
    const [finding] = diagnose(evidence({ state: "exited", end: end("halted-forever"), standing: stood }));
    expect(finding).toMatchObject({ code: "halted-forever", text: "It did.", hint: expect.stringMatching(/sti; hlt/) });
    expect(finding?.evidence.at(-1)).toBe("IRQ0 (timer) was waiting: only IF kept it back");
    expect(diagnose(evidence({ state: "exited", end: end("power-off") }))[0]?.text).toBe("It has ended, and does not hang: It did.");
  });

  it("tells the faults of a triple fault, those that are known", () => {
    const gate = { vector: 14, address: 0x500n, handler: undefined, problem: "the IDT's limit is 0: there is no gate for #PF" };
    const doubleFault = { ...gate, vector: 8, address: 0x480n, handler: 0x9000n, problem: null };
    const chain = {
      first: { vector: 14, because: "it was recorded" },
      gate,
      doubleFault,
      pageFault: { address: 0x7000n, why: "nothing is there" },
      unread: null,
    };
    const [finding] = diagnose(evidence({ state: "exited", end: end("triple-fault"), standing: standing(), fault: chain }));
    expect(finding?.evidence.slice(0, 3)).toEqual([
      "first came #PF at 0x7000 (CR2): nothing is there; it was recorded",
      "it could not be delivered: the IDT's limit is 0: there is no gate for #PF",
      "nothing is wrong with #DF's gate at 0x480 now: its handler at 0x9000 may have faulted",
    ]);
    expect(finding?.hint).toMatch(/Load an IDT/);
    const unknown = { ...chain, first: undefined, gate: undefined };
    expect(diagnose(evidence({ state: "exited", end: end("triple-fault"), fault: unknown }))[0]?.evidence[0]).toBe(
      "nothing tells which exception came first",
    );
  });

  it("does not blame a gate that the CPU never read", () => {
    const gate = { vector: 14, address: 0xe0n, handler: undefined, problem: "#PF's gate at 0xe0 is not present (it is all zeros)" };
    const chain = {
      first: { vector: 14, because: "the CPU was delivering it" },
      gate,
      doubleFault: { ...gate, vector: 8, address: 0x80n, problem: null },
      pageFault: null,
      unread: { vector: 8, address: 0x80n },
    };
    const [finding] = diagnose(evidence({ state: "exited", end: end("triple-fault"), fault: chain }));
    expect(finding?.evidence).toEqual([
      "first came #PF; the CPU was delivering it",
      "reading #DF's gate at 0x80 faulted itself (CR2), although the guest's tables map it now: the CPU did not translate by them",
      "what the IDT has was not reached: #PF's gate at 0xe0 is not present (it is all zeros)",
    ]);
    expect(finding?.hint).toMatch(/not to blame/);
    expect(finding?.hint).not.toMatch(/Fill in the gate/);
  });
});

it("what happened between two looks is a difference", () => {
  const stats = (scale: number) => ({ exits: 100 * scale, runNs: 10 * scale, haltNs: 5 * scale, injected: scale, cpuid: 7 * scale });
  const reply = ({ cpuid, ...counters }: ReturnType<typeof stats>) => {
    const texts = Object.fromEntries(Object.entries(counters).map(([name, count]) => [name, String(count)]));
    return {
      ...texts,
      byReason: [
        { reason: "cpuid", count: String(cpuid) },
        { reason: "hlt", count: "3" },
      ],
    } as never;
  };
  const activity = activityOf(reply(stats(1)), reply(stats(3)), 40n);
  expect(activity).toEqual({ ns: 40n, exits: 200n, runNs: 20n, haltNs: 10n, injected: 2n, byReason: new Map([["cpuid", 14n]]) });
  expect(activityOf(reply(stats(1)), reply(stats(3)), 4n).ns).toBe(30n); // it cannot have run longer than that
});

it("findings are shown with their evidence and what to do, the surest first", () => {
  const stood = standing({ code: "ebfe", before: "e464" });
  const activity = { exits: 1000n, byReason: new Map([["io-in", 1000n]]) };
  const cpus = [{ index: 0, loadPercent: 100, guest: null }];
  const shown = showFindings(
    diagnose(evidence({ standing: stood, running: running({ activity: { ...activity, runNs: 10_000_000n }, cpus }) })),
  );
  expect(shown).toMatchInlineSnapshot(`
    "It exits for 'io-in' over and over: 3333 a second, 100 % of all its exits.
      - port 64h, keyboard controller's status
      - RIP 0x100000: jmp short 0x0000000000100000
      - io-in: 1000
      → It polls a port: the device does not answer as the loop expects. \`hvkit disasm\` shows what it waits for.

    It spins at 0x100000.
      - RIP was there at all of 12 looks
      - 0x100000  jmp short 0x0000000000100000
      → \`hvkit disasm\` shows the loop, \`hvkit regs\` what it looks at.

    It waits for its turn: other guests have the CPUs that it may run on. (likely)
      - of 300 ms it ran 10 ms and waited 290 ms
      - CPU 0: 100 % busy
      → \`hvkit status\` shows the CPUs; \`hvkit up --cpus N\` boots with more, --cpu-affinity and \`hvkit pause\` make room."
  `);
});

describe("a snapshot", () => {
  const saved = (change: Parameters<typeof evidence>[0]) => evidence({ state: "saved", ...change });

  it.each([
    ["nothing that would wake it", {}, "no-timer certain"],
    [
      "a request that is masked, and nothing else that would wake it",
      { "picMaster.irr": 1n, "picMaster.imr": 1n },
      "interrupt-masked likely",
    ],
    [
      "one that is masked, and a timer that will come",
      { "picMaster.irr": 1n, "picMaster.imr": 1n, "timers.pit": 2n * 10n ** 9n },
      "interrupt-masked possible",
    ],
    ["a timer", { "timers.pit": 2n * 10n ** 9n }, "idle likely"],
    ["a serial port that interrupts", { "com1.ier": 1n, "com1.mcr": 11n }, "waits-for-input likely"],
  ])("of a guest in HLT has %s", (_, records, expected) => {
    const halted = { "machine.halted": 1n, ...records };
    const found = diagnose(saved({ standing: standing({ records: halted, ...HLT }) }));
    expect(`${found[0]?.code} ${found[0]?.certainty}`).toBe(expected);
    expect(found[0]?.evidence.join()).not.toMatch(/looks|meanwhile/);
    // Its console is that of no guest.
    if (found[0]?.code === "waits-for-input") expect(found[0].hint).toMatch(/`type` of `hvkit open`.*`hvkit run --from`/);
  });

  it("of one that executes says where it stands, and no more", () => {
    const found = diagnose(saved({ standing: standing() }));
    expect(found).toMatchObject([{ code: "saved", certainty: "certain", hint: expect.stringContaining("hvkit restore") }]);
    expect(found[0]?.evidence[0]).toMatch(/^RIP 0x100000/);
  });

  it("of a Linux that panicked says so first", () => {
    const panic = { reason: "Fatal exception", cause: "BUG: kernel NULL pointer dereference", trace: ["boom+0x5/0x10", "? other+0x1/0x2"] };
    const [first] = diagnose(saved({ standing: standing(), panic }));
    expect(first).toMatchObject({
      code: "kernel-panic",
      text: "Linux panicked: Fatal exception",
      evidence: ["BUG: kernel NULL pointer dereference", "at boom+0x5/0x10", "at ? other+0x1/0x2"],
    });
  });
});
