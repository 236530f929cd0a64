import { describe, expect, it } from "vitest";
import { cpuMask, cpusOf, parseCpuList, showCpuList } from "../../control/src/cpulist.js";

describe("a list of CPUs", () => {
  it.each([
    ["0", [0]],
    ["0,2-3", [0, 2, 3]],
    ["7,1-2,2", [1, 2, 7]],
    [" 1 , 3 - 3".replaceAll(" - ", "-"), [1, 3]],
  ])("'%s' is read", (text, cpus) => {
    expect(parseCpuList(text, "--cpu-affinity")).toEqual(cpus);
    expect(cpusOf(BigInt(cpuMask(cpus)))).toEqual(cpus);
  });

  it.each(["", "a", "1-", "-1", "3-2", "8", "0,9", "0-8", "1,,2", "0x1", "99999"])("'%s' is refused", (text) => {
    expect(() => parseCpuList(text, "--cpu-affinity")).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });

  it("is shown in ranges", () => {
    expect(showCpuList([0, 2, 3, 4, 7])).toBe("0,2-4,7");
    expect(showCpuList([])).toBe("");
  });
});
