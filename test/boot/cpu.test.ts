// CPUs that lack what hvkit needs: the whole list is printed, a line a control, and the machine ends.
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { build } from "../../scripts/lib/build.mjs";
import { bochs, built, type Ended, qemu } from "./machine.js";

const stoppedByPort = 255; // isa-debug-exit: 7Fh << 1 | 1
const kernel = ["-kernel", join(built, "hv.elf32"), "-m", "64"];

vi.setConfig({ testTimeout: 60_000 });
beforeAll(() => build({ variant: "boot", only: ["hv"] }), 60_000);

function expectStopped({ lines }: Ended, missing: string[]) {
  const stop = "hvkit: stop: no usable hardware virtualization";
  expect(lines.at(-1)).toBe(stop);
  for (const line of lines.slice(0, -1)) expect(line).toMatch(/^hvkit: cpu: .+ (ok|MISSING|no \(optional\))$/);
  const named = lines.filter((line) => line.endsWith(" MISSING")).map((line) => line.slice("hvkit: cpu: ".length, -" MISSING".length));
  expect(named).toEqual(missing);
}

describe("QEMU", () => {
  test.each([
    ["qemu64,-svm", ["SSE4.2", "VMX or SVM"]],
    ["max,-npt", ["nested paging"]],
    ["max,-nx", ["NX"]],
    ["qemu32", ["long mode"]],
  ])("%s lacks %j", async (cpu, missing) => {
    const ended = await qemu(kernel, cpu);
    expect(ended.code).toBe(stoppedByPort);
    expectStopped(ended, missing);
  });

  test("what is there, and what is only wished for, is in the list too", async () => {
    const { lines } = await qemu(kernel, "max,-npt");
    expect(lines).toContain("hvkit: cpu: NX ok");
    expect(lines).toContain("hvkit: cpu: next RIP no (optional)");
  });
});

describe("Bochs", () => {
  test("a Lynnfield lacks unrestricted guests", async () => {
    expectStopped(await bochs("corei5_lynnfield_750"), ["unrestricted guest"]);
  });

  test("a Penryn lacks EPT and all that came with it", async () => {
    const { lines } = await bochs("core2_penryn_t9600");
    for (const name of ["EPT", "unrestricted guest", "EPT 4-level walk", "EPT write-back", "EPT 2 MB pages", "INVEPT"]) {
      expect(lines).toContain(`hvkit: cpu: ${name} MISSING`);
    }
    expect(lines).toContain("hvkit: cpu: VPID no (optional)");
  });

  test("an Athlon 64 of 2005 has neither SSE4.2 nor VMX nor SVM", async () => {
    expectStopped(await bochs("athlon64_venice"), ["SSE4.2", "VMX or SVM"]);
  });

  test("a Yonah has no long mode", async () => {
    expectStopped(await bochs("core_duo_t2400_yonah"), ["long mode"]);
  });
});
