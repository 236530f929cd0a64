// When a command is waited for no more: its guest had time, and its agent said nothing. Without a daemon: what is asked of it is answered here.
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { GuestState, GuestSummary } from "../../../control/src/api/schemas.js";
import type { Client } from "../../../control/src/client/client.js";
import { Silence } from "../../../control/src/client/silence.js";
import type { HvkitError } from "../../../control/src/errors.js";
import { AgentLimit } from "../../../protocol/agent.js";

const LIMIT = AgentLimit.SilenceSeconds;
const PANIC = `[   12.000000] Kernel panic - not syncing: sysrq triggered crash
[   12.100000] Call Trace:
[   12.100000]  dump_stack+0x1/0x2
[   12.200000] Kernel Offset: disabled
`;
const STANDS = "[   12.200000] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\n";
/** of an earlier boot */
const BEFORE = PANIC + STANDS;

describe("an agent that says nothing", () => {
  let guest: { state: GuestState; run: number; halt: number; console: string };
  let over: HvkitError[];
  let silence: Silence;
  /** held back: how the daemon answers is up to the test */
  let answers: Promise<void>;

  beforeEach(() => {
    guest = { state: "running", run: 5, halt: 1000, console: "" };
    over = [];
    answers = Promise.resolve();
    const ns = (seconds: number): string => String(BigInt(seconds) * 1_000_000_000n);
    const client = {
      call: vi.fn(async (method: string, { offset = 0 }: { offset?: number }) => {
        await answers;
        if (method === "stats") return { state: guest.state, runNs: ns(guest.run), haltNs: ns(guest.halt) };
        const text = BEFORE + guest.console;
        return { end: text.length, data: Buffer.from(text.slice(offset)).toString("base64") };
      }),
    };
    silence = new Silence(client as unknown as Client, { id: "1", name: "web" } as GuestSummary, BEFORE.length, (error) =>
      over.push(error),
    );
  });

  const look = async (): Promise<void> => {
    silence.look();
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  test("is given up when the guest had its time since, with the console's last lines and what to do", async () => {
    await look();
    guest.console = "one\r\n\ntwo\n";
    guest.run += LIMIT / 2;
    guest.halt += LIMIT / 2 - 1;
    await look();
    expect(over).toEqual([]);
    guest.run += 1;
    await look();
    expect(over).toMatchObject([
      {
        code: "E_EXEC_SILENT",
        message: expect.stringMatching(/'web'[\s\S]*last lines:\none\ntwo$/),
        data: { console: ["one", "two"], panic: null },
      },
    ]);
    expect(over[0]?.hint).toMatch(/hvkit logs web.*hvkit reset web.*hvkit why web/);
  });

  test("is waited for while the guest has no time: it is paused, or starved, or its engine is", async () => {
    await look();
    for (let count = 0; count < 100; count++) await look();
    guest.run += LIMIT - 1;
    guest.state = "paused";
    await look();
    guest.state = "running";
    await look();
    expect(over).toEqual([]);
  });

  test("that says something has its whole time again; a reset guest has it, too", async () => {
    await look();
    guest.run += LIMIT - 1;
    silence.broken();
    await look();
    guest.run += LIMIT - 1;
    await look();
    guest.run = 0;
    guest.halt = 0;
    await look();
    guest.run += LIMIT - 1;
    await look();
    expect(over).toEqual([]);
    guest.run += 1;
    await look();
    expect(over.length).toBe(1);
  });

  test("that is heard while the daemon answers is not given up", async () => {
    await look();
    guest.run += 2 * LIMIT;
    let answer = (): void => {};
    answers = new Promise((resolve) => {
      answer = resolve;
    });
    silence.look();
    silence.broken();
    answer();
    await look(); // the first of a new silence
    expect(over).toEqual([]);
  });

  test("is given up at once when its kernel panicked and stands still, since the command began", async () => {
    await look();
    guest.console = PANIC; // it may reboot yet
    await look();
    expect(over).toEqual([]);
    guest.console = PANIC + STANDS;
    await look();
    expect(over).toMatchObject([
      {
        code: "E_EXEC_SILENT",
        message: expect.stringContaining("sysrq triggered crash"),
        data: { panic: { reason: "sysrq triggered crash" } },
      },
    ]);
    expect(over[0]?.hint).toContain("--no-reboot");
  });

  test("is waited for when the daemon cannot say", async () => {
    answers = Promise.reject(new Error("the link is away"));
    await look();
    expect(over).toEqual([]);
  });
});
