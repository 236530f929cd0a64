// The file there and back, and every way in which it may be wrong: made with literal changes, with right digests where the reader must
// look further than these.
import { beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../../control/src/hypervisor/digest.js";
import { HEADER, SECTION, SectionType } from "../../../control/src/snapshot/format.js";
import { openSnapshot, readRam, readSnapshot } from "../../../control/src/snapshot/reader.js";
import { sampleFile, sampleHeader, sampleLayout, sampleRam, sampleState, sourceOf } from "./sample.js";

let file: Buffer;
beforeAll(async () => {
  file = await sampleFile();
});

/** Where each section begins, by type; the first one of RAM. */
function sections(bytes: Buffer): Map<SectionType, number> {
  const found = new Map<SectionType, number>();
  for (let at = HEADER.json + bytes.readUInt32LE(HEADER.jsonBytes); at < bytes.length; ) {
    const type = bytes.readUInt32LE(at + SECTION.type);
    if (!found.has(type)) found.set(type, at);
    at += SECTION.stored + bytes.readUInt32LE(at + SECTION.storedBytes);
  }
  return found;
}

/** The file with a section changed, all digests right again. */
async function changed(type: SectionType, change: (section: Buffer) => unknown): Promise<Buffer> {
  const at = sections(file).get(type) ?? 0;
  const end = at + SECTION.stored + file.readUInt32LE(at + SECTION.storedBytes);
  const copy = Buffer.from(file.subarray(at, end));
  const result = change(copy);
  const section = result instanceof Buffer ? result : copy;
  section.writeBigUInt64LE(await digestOf(section.subarray(0, SECTION.digest), section.subarray(SECTION.stored)), SECTION.digest);
  return sealed(Buffer.concat([file.subarray(0, at), section, file.subarray(end)]));
}

/** With an end section that fits. */
async function sealed(bytes: Buffer): Promise<Buffer> {
  const at = bytes.length - SECTION.stored - 16;
  bytes.writeBigUInt64LE(BigInt(at), at + SECTION.stored);
  bytes.writeBigUInt64LE(await digestOf(bytes.subarray(0, at)), at + SECTION.stored + 8);
  bytes.writeBigUInt64LE(await digestOf(bytes.subarray(at, at + SECTION.digest), bytes.subarray(at + SECTION.stored)), at + SECTION.digest);
  return bytes;
}

const refusal = async (bytes: Buffer): Promise<string> => {
  try {
    await readSnapshot(sourceOf(bytes));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  }
  return "";
};

describe("a snapshot's file", () => {
  it("gives back what was written", async () => {
    const snapshot = await readSnapshot(sourceOf(file));
    const { registers, region, fpu, consoleInput, inject, injectLength, halted, events, clockNs } = sampleState();
    expect(snapshot.header).toEqual(sampleHeader());
    expect(snapshot.layout).toEqual(sampleLayout());
    expect(Object.values(snapshot.registers)).toEqual(registers);
    expect(snapshot.registers["cs.selector"]).toBe(registers[29]);
    expect(snapshot.entry).toEqual({ inject, injectLength, halted, events, clockNs });
    expect([snapshot.region, snapshot.fpu, ...snapshot.consoleInput].map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual(
      [region, fpu, ...consoleInput].map((bytes) => Buffer.from(bytes).toString("hex")),
    );
    const ram = Buffer.alloc(snapshot.header.memoryBytes);
    await readRam(sourceOf(file), snapshot, async (address, bytes) => ram.set(bytes, address));
    expect(ram.equals(sampleRam())).toBe(true);
  });

  it("leaves zero pages out and compresses where it pays", async () => {
    const { ram, ramBytes } = await readSnapshot(sourceOf(file));
    expect(ram.map(({ address, compression }) => [address, compression])).toEqual([
      [0, 1],
      [0x100000, 1],
      [0x200000, 0],
      [0x300000, 1],
    ]);
    expect(ramBytes).toBe((1 + 16 + 3 + 1) * 4096 + 4 * 32);
    expect(file.length).toBeLessThan(40_000);
  });

  it("of empty RAM has none", async () => {
    const empty = await sampleFile({ ram: Buffer.alloc(2 ** 21) });
    expect((await readSnapshot(sourceOf(empty))).ram).toEqual([]);
  });

  it("shows its header without the rest being read", async () => {
    expect(await openSnapshot(sourceOf(file))).toEqual(sampleHeader());
  });
});

describe("a file is refused that", () => {
  it("is something else", async () => {
    expect(await refusal(Buffer.from("#!/bin/sh\n"))).toMatch(/^E_SNAPSHOT_FORMAT: this is not a snapshot/);
    expect(await refusal(Buffer.alloc(0))).toMatch(/^E_SNAPSHOT_FORMAT/);
    expect(await refusal(Buffer.alloc(1000))).toMatch(/^E_SNAPSHOT_FORMAT/);
  });

  it("is of a later version", async () => {
    const later = Buffer.from(file);
    later.writeUInt32LE(2, HEADER.version);
    const json = later.subarray(HEADER.json, HEADER.json + later.readUInt32LE(HEADER.jsonBytes));
    later.writeBigUInt64LE(await digestOf(later.subarray(0, HEADER.digest), json), HEADER.digest);
    expect(await refusal(later)).toBe("E_SNAPSHOT_FORMAT: the snapshot has format version 2; this build reads version 1");
  });

  it("was cut short, at any byte of its headers and at others", async () => {
    const starts = [...sections(file).values()];
    const cuts = [...Array(64).keys(), ...starts.flatMap((at) => [at - 1, at, at + 1, at + 31, at + 33]), file.length - 1];
    for (const cut of cuts) expect(await refusal(file.subarray(0, cut)), String(cut)).toMatch(/^E_SNAPSHOT_/);
  });

  it("goes on after its end", async () => {
    expect(await refusal(Buffer.concat([file, Buffer.from([0])]))).toMatch(/something follows its end/);
  });

  it("lacks a section, or has one twice", async () => {
    const at = sections(file);
    const fpu = at.get(SectionType.Fpu) ?? 0;
    const console = at.get(SectionType.Console) ?? 0;
    expect(await refusal(await sealed(Buffer.concat([file.subarray(0, fpu), file.subarray(console)])))).toMatch(
      /Console is not where it must be/,
    );
    expect(await refusal(await sealed(Buffer.concat([file.subarray(0, console), file.subarray(fpu)])))).toMatch(
      /Fpu is not where it must be/,
    );
  });

  const section = SECTION.stored;
  it.each<[string, SectionType, (bytes: Buffer) => unknown, RegExp]>([
    ["has a section of an unknown type", SectionType.Vcpu, (b) => void b.writeUInt32LE(9, 0), /type 9/],
    ["has a section with an address", SectionType.Entry, (b) => void b.writeUInt32LE(1, SECTION.address), /has an address/],
    ["compresses its state", SectionType.Region, (b) => void b.writeUInt32LE(1, SECTION.compression), /not RAM is compressed/],
    ["compresses in another way", SectionType.Ram, (b) => void b.writeUInt32LE(7, SECTION.compression), /compression 7/],
    ["says that a section is huge", SectionType.Ram, (b) => void b.writeUInt32LE(0xffff_ffff, SECTION.bytes), /impossible length/],
    ["inflates to less than it says", SectionType.Ram, (b) => void b.writeUInt32LE(32 + 2 * 4096, SECTION.bytes), /is not one/],
    ["inflates to more than it says", SectionType.Ram, (b) => void b.writeUInt32LE(4096, SECTION.bytes), /is not one/],
    ["has RAM that is no deflate stream", SectionType.Ram, (b) => void b.fill(0xff, section), /is not one/],
    ["has RAM beyond the guest's", SectionType.Ram, (b) => void b.writeUInt32LE(0x400000, SECTION.address), /out of place/],
    ["has RAM at 2^60", SectionType.Ram, (b) => void b.writeBigUInt64LE(2n ** 60n, SECTION.address), /out of place/],
    ["has RAM between blocks", SectionType.Ram, (b) => void b.writeUInt32LE(4096, SECTION.address), /out of place/],
    ["has RAM twice", SectionType.Ram, (b) => void b.writeUInt32LE(0x100000, SECTION.address), /out of place/],
    ["has registers that are not JSON", SectionType.Vcpu, (b) => void b.write("[", section), /not JSON/],
    ["has a register that is no number", SectionType.Vcpu, (b) => void b.write("0xg", b.indexOf("0x0")), /Vcpu: rax/],
    [
      "has a register with a name for terminals",
      SectionType.Vcpu,
      (b) => void b.write('"\\u001b[31mxy"', b.indexOf('"kernelGsBase"')),
      /Vcpu: /,
    ],
    ["has a layout table with an unknown type", SectionType.Layout, (b) => void b.write("x64", b.indexOf("u64")), /Layout: /],
  ])("%s", async (_, type, change, message) => {
    expect(await refusal(await changed(type, change))).toMatch(message);
  });

  it("changes while it is read", async () => {
    const snapshot = await readSnapshot(sourceOf(file));
    const copy = Buffer.from(file);
    const at = (sections(file).get(SectionType.Ram) ?? 0) + SECTION.stored + 5;
    copy[at] = (copy[at] ?? 0) ^ 1;
    await expect(readRam(sourceOf(copy), snapshot, async () => {})).rejects.toMatchObject({ code: "E_SNAPSHOT_DAMAGED" });
  });
});
