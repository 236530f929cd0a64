import { describe, expect, it } from "vitest";
import { PanicReport, panicSummary } from "../../../control/src/hypervisor/panic.js";

function collector(options: { silenceMs?: number; maxLines?: number } = {}): { report: PanicReport; reports: string[][] } {
  const reports: string[][] = [];
  const symbolize = (address: bigint): string | undefined => (address === 0x101234n ? "poll+34h" : undefined);
  return { report: new PanicReport({ symbolize, onPanic: (lines) => reports.push(lines), ...options }), reports };
}

describe("a panic report", () => {
  it("is its lines, with names beside the addresses", () => {
    const { report, reports } = collector();
    expect(report.line("hvkit: EPT: ok")).toBe("hvkit: EPT: ok");
    for (const line of [
      "hvkit: panic: trap in core",
      "hvkit: rip=0000000000101234 cs=0000000000000008 ",
      "hvkit: return 0x0000000000101234",
    ]) {
      report.line(line);
    }
    expect(report.line("hvkit: return 0x0000000000000001")).toBe("hvkit: return 0x0000000000000001");
    expect(reports).toEqual([]);
    report.line("hvkit: panic end");
    report.finish();
    expect(reports).toEqual([
      [
        "hvkit: panic: trap in core",
        "hvkit: rip=0000000000101234 cs=0000000000000008 ",
        "hvkit: return 0x0000000000101234 poll+34h",
        "hvkit: return 0x0000000000000001",
        "hvkit: panic end",
      ],
    ]);
    expect(panicSummary(reports[0])).toBe("trap in core");
  });

  it("that stops in the middle is handed on after silence", async () => {
    const { report, reports } = collector({ silenceMs: 10 });
    report.line("hvkit: panic: x");
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(reports).toEqual([["hvkit: panic: x"]]);
  });

  it("does not grow without end", () => {
    const { report, reports } = collector({ maxLines: 3 });
    for (let i = 0; i < 50; i++) report.line(i === 0 ? "hvkit: panic: x" : `hvkit: return 0x${i}`);
    report.finish();
    expect(reports[0]).toHaveLength(3);
  });
});
