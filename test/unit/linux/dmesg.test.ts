// A kernel's log out of RAM: messages as they were written, whatever the ring has been through; and rings that are none.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { readDmesg, showRecord } from "../../../control/src/linux/dmesg.js";
import { INFO_AT, Kernel, MIB } from "./kernel.js";

const texts = async (kernel: Kernel): Promise<string[]> => (await readDmesg(kernel.view)).records.map(({ text }) => text);

describe("the log", () => {
  it("has each message, with its time, level and facility", async () => {
    const kernel = new Kernel()
      .write({ text: "Linux version 6.1", ns: 0n, level: 5 })
      .write({ text: "BUG: unable to handle", ns: 1_234_567_890n, level: 1 })
      .write({ text: "hello from a program", ns: 2_000_000_000n, level: 6, facility: 1 });
    expect(await readDmesg(kernel.view)).toEqual({
      release: "6.1.0-test",
      lost: 0,
      records: [
        { seq: 0n, ns: 0n, level: 5, facility: 0, text: "Linux version 6.1" },
        { seq: 1n, ns: 1_234_567_890n, level: 1, facility: 0, text: "BUG: unable to handle" },
        { seq: 2n, ns: 2_000_000_000n, level: 6, facility: 1, text: "hello from a program" },
      ],
    });
  });

  it.each([{ newer: false }, { slide: 0x1e0_0000n }, { firstId: 2n ** 62n - 3n }, { countBits: 1 }, { sizeBits: 7 }])(
    "is found in any of its forms: %o",
    async (options) => {
      const kernel = new Kernel(options);
      kernel.write({ text: "one" }).write({ text: "two" });
      expect(await texts(kernel)).toEqual(["one", "two"]);
    },
  );

  it("has the last ones when it has gone round, and counts those whose text had to go", async () => {
    const kernel = new Kernel({ countBits: 4, sizeBits: 7 });
    for (let number = 0; number < 40; number++) kernel.write({ text: `message ${number}` });
    const { records, lost } = await readDmesg(kernel.view);
    const kept = records.map(({ text }) => text);
    expect(kept.at(-1)).toBe("message 39");
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => `message ${40 - kept.length + index}`));
    expect([kept.length >= 4, kept.length + lost]).toEqual([true, 16]);
  });

  it("leaves out what is not written yet, and has what is empty", async () => {
    const kernel = new Kernel()
      .write({ text: "first" })
      .write({ text: "half of a li", state: 0 })
      .write({ text: "" })
      .write({ text: "committed", state: 1 })
      .write({ text: "was", state: 3 });
    expect(await texts(kernel)).toEqual(["first", "", "committed"]);
  });

  it("is printed with a time before each line, and with nothing that a terminal would obey", () => {
    const record = { seq: 0n, ns: 62_000_001_999n, level: 6, facility: 0, text: "one\ntwo \x1b[31m\x07\xe9\n" };
    expect(showRecord(record)).toBe("[   62.000001] one\n[   62.000001] two \\x1b[31m\\x07\\xe9");
    expect(showRecord({ ...record, ns: 123_456_789_000_000n, text: "" })).toBe("[123456.789000] ");
  });

  property.prop([fc.array(fc.string({ maxLength: 60, unit: "binary-ascii" }), { minLength: 1, maxLength: 40 })], { numRuns: 50 })(
    "is what was written, of the messages that it still has",
    async (messages) => {
      const kernel = new Kernel({ countBits: 3, sizeBits: 8 });
      for (const text of messages) kernel.write({ text });
      const { records, lost } = await readDmesg(kernel.view);
      const last = messages.slice(-kernel.count);
      expect(records.length + lost).toBe(last.length);
      for (const { seq, text } of records) expect(text).toBe(messages[Number(seq)]);
      expect(records.at(-1)?.seq).toBe(BigInt(messages.length - 1));
    },
  );
});

describe("what is no log", () => {
  const refused = async (kernel: Kernel): Promise<string> => {
    const error = await readDmesg(kernel.view).then(
      () => undefined,
      (failure: { code: string; message: string }) => failure,
    );
    return `${error?.code}: ${error?.message}`;
  };
  const without = (kernel: Kernel, line: RegExp): Kernel => kernel.tell(kernel.lines().filter((text) => !line.test(text)));

  it("is said to be none: another system, a text that only looks so, a kernel that does not say where it is mapped", async () => {
    const other = new Kernel();
    other.ram.fill(0, INFO_AT, INFO_AT + 4096);
    expect(await refused(other)).toMatch(/^E_NOT_LINUX: there is no Linux kernel's log in the memory of 'web'/);
    const file = new Kernel();
    file.ram.copyWithin(INFO_AT + 8, INFO_AT, INFO_AT + 2048);
    file.ram.fill(0, INFO_AT, INFO_AT + 8);
    expect(await refused(file)).toMatch(/^E_NOT_LINUX/);
    expect(await refused(without(new Kernel(), /swapper_pg_dir/))).toMatch(/^E_NOT_LINUX/);
  });

  it("of a kernel that does not say where its parts are is refused, by their names", async () => {
    for (const [line, name] of [
      [/SYMBOL\(prb\)/, "prb"],
      [/SIZE\(prb_desc\)/, "prb_desc"],
      [/printk_info.text_len/, "printk_info.text_len"],
    ] as const) {
      expect(await refused(without(new Kernel(), line))).toBe(
        `E_LOG: the kernel's log cannot be read: the kernel does not say where ${name} is: it is older than 5.10, or was built without it`,
      );
    }
  });

  it("of sizes that cannot be is refused before anything is allocated", async () => {
    const { ring } = Kernel.places;
    for (const [at, bits, text] of [
      [ring, 31, "it says that it has 2^31 descriptors"],
      [ring + 48, 0, "it says that it has 2^0 bytes of text"],
    ] as const) {
      const kernel = new Kernel().write({ text: "one" });
      kernel.ram.writeUInt32LE(bits, at);
      expect(await refused(kernel)).toBe(`E_LOG: the kernel's log cannot be read: ${text}`);
    }
    const far = new Kernel().write({ text: "one" });
    far.ram.writeBigUInt64LE(0n, ring + 32);
    far.ram.writeBigUInt64LE(1000n, ring + 24);
    expect(await refused(far)).toMatch(/its first and its last message do not fit together$/);
  });

  it("that leads nowhere is refused, with the way of the address", async () => {
    const kernel = new Kernel();
    kernel.ram.writeBigUInt64LE(0xdead_0000n, Kernel.places.prb);
    expect(await refused(kernel)).toMatch(
      /^E_LOG: the kernel's log cannot be read: it cannot be read: linear address 0xdead0000 is not mapped/,
    );
  });

  property.prop([fc.array(fc.tuple(fc.nat(0x15_0000), fc.nat(255)), { minLength: 1, maxLength: 30 }), fc.boolean()], { numRuns: 80 })(
    "is refused or read, and nothing else",
    async (damage, inInfo) => {
      const kernel = new Kernel({ countBits: 3, sizeBits: 7 });
      for (let number = 0; number < 12; number++) kernel.write({ text: `message ${number}` });
      const { tables, prb } = Kernel.places;
      for (const [place, byte] of damage)
        kernel.ram[inInfo ? INFO_AT + (place % 1100) : place % 5 === 0 ? prb + (place % 400) : tables + place] = byte;
      try {
        const { records } = await readDmesg(kernel.view);
        expect(records.length).toBeLessThanOrEqual(2 ** 20);
      } catch (error) {
        expect((error as { code: string }).code).toMatch(/^E_(LOG|NOT_LINUX)$/);
      }
    },
  );

  it("in a great memory is looked for from the end, in pieces", async () => {
    const asked: number[] = [];
    const view = {
      ...new Kernel().view,
      memory: {
        bytes: 3 * MIB + 8192,
        read: async (at: number, length: number) => {
          asked.push(at, length);
          return Buffer.alloc(length);
        },
      },
    };
    const seen: number[] = [];
    await expect(readDmesg(view, (done, total) => seen.push(done / total))).rejects.toMatchObject({ code: "E_NOT_LINUX" });
    expect(asked).toEqual([2 * MIB + 8192, MIB, MIB + 8192, MIB, 8192, MIB, 0, 8192]);
    expect(seen.at(-1)).toBe(1);
  });
});
