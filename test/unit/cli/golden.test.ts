// What the commands print for people, character by character: scripts and documents show it.
import { describe, expect, it } from "vitest";
import type { GuestStats, GuestSummary, SnapshotCheck, SnapshotSummary, Status } from "../../../control/src/api/schemas.js";
import { MIB } from "../../../control/src/api/size.js";
import { showExplanation } from "../../../control/src/cli/commands/explain.js";
import { showImages } from "../../../control/src/cli/commands/images.js";
import { showGuests } from "../../../control/src/cli/commands/ps.js";
import { showRegisters } from "../../../control/src/cli/commands/regs.js";
import { showCheck, showSnapshots } from "../../../control/src/cli/commands/snapshot.js";
import { showStats } from "../../../control/src/cli/commands/stats.js";
import { showStatus } from "../../../control/src/cli/commands/status.js";
import { showProgress } from "../../../control/src/cli/progress.js";
import { documentOf, withChecks } from "../../../control/src/explain/document.js";
import { explain } from "../../../control/src/explain/explain.js";
import { readState } from "../../../control/src/explain/read.js";
import { registerName } from "../../../control/src/hypervisor/texts.js";
import { hexDump } from "../../../control/src/inspect/hexdump.js";
import { Register } from "../../../protocol/state.js";
import { SvmField } from "../../../protocol/vcb.js";
import { stateWith } from "../explain/states.js";

const at = (seconds: number): string => new Date(1_800_000_000_000 - seconds * 1000).toISOString();
const now = 1_800_000_000_000;

const guest: GuestSummary = {
  id: "0123456789ab",
  name: "web",
  image: "linux",
  kind: "linux",
  state: "running",
  idle: true,
  memoryBytes: 128 * 2 ** 20,
  restarts: 0,
  createdAt: at(125),
  startedAt: at(1),
  endedAt: null,
  end: null,
  consoleLost: 0,
  staleSince: null,
};

describe("explain", () => {
  const shown = (text: string): string => {
    const state = readState(text, "dump");
    const explanation = explain(state);
    return showExplanation("dump", withChecks(documentOf(state), state, explanation), explanation.assumedWidths);
  };

  it("shows what fails, with values, section and mistake", () => {
    const fields = stateWith("svm", { [SvmField.Efer]: 0x500n, [SvmField.Asid]: 0n });
    expect(shown(JSON.stringify(documentOf({ vendor: "svm", fields })))).toBe(`dump
2 checks fail.

 1. The guest's ASID must not be 0, which is the host's.
     ASID = 0h
     APM vol. 2, 15.5.1 (svm.Asid)
     Usual mistake: ASIDs were counted from 0, or the field at 58h was never written.

 2. EFER.SVME must be 1 for the guest too.
     EFER = 500h
     APM vol. 2, 15.5.1 (svm.EferSvme)
     Usual mistake: The guest's EFER was written as the guest has it: keep SVME set, and hide it when the guest reads EFER.`);
  });

  it("shows what could not be checked", () => {
    const text = shown('{"vendor": "svm", "fields": {"Efer": "0x1500", "Cr0": "0x80000033", "Cr4": "0x20", "Cr3": "0x101000"}}');
    const [title, verdict, , widths, , notMade, , absent] = text.split("\n");
    expect([title, verdict]).toEqual(["dump", "Every check that could be made passes."]);
    expect(widths).toBe("Address widths are not in it: 52 physical and 48 linear bits are taken.");
    expect(notMade).toMatch(/^Not made, for want of a field: svm.InterceptVmrun \(intercepts, second word\); svm.Asid \(ASID\); .*\.$/);
    expect(notMade).toContain("svm.LongCs (CS access rights)");
    expect(absent).toMatch(/^Fields that it has not \(svm\): InterceptCr, .*, AsidCount\.$/);
    const whole = documentOf({ vendor: "svm", fields: stateWith("svm") });
    expect(shown(JSON.stringify(whole))).toBe("dump\nEvery check passes.");
  });
});

describe("ps", () => {
  it("says why an entry failed", () => {
    const end = { code: "entry-failed", text: "", value: "0xffffffff", rip: "0x0", rule: "svm.Asid", why: "The ASID is 0h." };
    const shown = showGuests([{ ...guest, state: "exited", endedAt: at(3), end }], now);
    expect(shown).toMatch(/ {3}exited \(entry-failed 0xffffffff\) 3 seconds ago: The ASID is 0h\.$/);
  });

  it("shows each state", () => {
    const end = { code: "debug-exit", text: "", value: "0x21", rip: "0x0" };
    const guests: GuestSummary[] = [
      guest,
      { ...guest, name: "paused_one", state: "paused", idle: false, restarts: 12 },
      { ...guest, name: "x", state: "exited", end, endedAt: at(86400 * 3) },
      { ...guest, name: "y", state: "lost", end: { ...end, code: "lost", value: "0x0" }, endedAt: at(7300) },
    ];
    expect(showGuests(guests, now)).toMatchInlineSnapshot(`
      "ID             NAME         IMAGE   MEMORY    RESTARTS   CREATED         STATE
      0123456789ab   web          linux   128 MiB   0          2 minutes ago   running (idle) for 1 second
      0123456789ab   paused_one   linux   128 MiB   12         2 minutes ago   paused
      0123456789ab   x            linux   128 MiB   0          2 minutes ago   exited (debug-exit 0x21) 3 days ago
      0123456789ab   y            linux   128 MiB   0          2 minutes ago   lost (lost) 2 hours ago"
    `);
  });

  it("has id, name and state whole on a small terminal", () => {
    const end = { code: "triple-fault", text: "", value: "0x1001b5", rip: "0x0" };
    const guests: GuestSummary[] = [guest, { ...guest, name: "onlydefault-twenty", state: "exited", end, endedAt: at(300) }];
    const lines = (room: number): string[] => showGuests(guests, now, room).split("\n");
    expect(lines(80)).toEqual([
      "ID             NAME                 STATE",
      "0123456789ab   web                  running (idle) for 1 second",
      "0123456789ab   onlydefault-twenty   exited (triple-fault 0x1001b5) 5 minutes ago",
    ]);
    expect(showGuests([guest], now, 80).split("\n")[1]).toBe(
      "0123456789ab   web    linux   128 MiB   2 minutes…   running (idle) for 1 second",
    );
    for (const room of [20, 60]) {
      expect(lines(room)[2]).toBe("0123456789ab   onlydefault-twenty   exited (triple-fault 0x1001b5) 5 minutes ago");
    }
  });

  it("shows its headings when there is nothing", () => {
    expect(showGuests([])).toBe("ID   NAME   IMAGE   MEMORY   RESTARTS   CREATED   STATE");
  });
});

describe("images", () => {
  it("shows what keeps one from being run", () => {
    const image = { name: "linux", description: "Debian", kind: "linux" as const, memoryBytes: 2 ** 27, bytes: 15_500_000, problem: null };
    const problem = { code: "E_IMAGE_NOT_BUILT", message: "it lacks a file" };
    expect(showImages([image, { ...image, name: "mine", bytes: null, problem }])).toMatchInlineSnapshot(`
      "IMAGE   KIND    MEMORY    SIZE       DESCRIPTION
      linux   linux   128 MiB   14.8 MiB   Debian
      mine    linux   128 MiB   -          E_IMAGE_NOT_BUILT: it lacks a file"
    `);
  });
});

describe("status", () => {
  it("shows engine, hypervisor and the last failure", () => {
    const lost = { framesBad: "0", replyFramesBad: "2", framesResent: "1", requestFramesResent: "0", serialOverruns: "0" };
    const link = { bytesIn: "700", bytesOut: "2048", framesIn: "10", framesOut: "12", ...lost };
    const status: Status = {
      state: "running",
      pid: 7,
      startedAt: at(60),
      instance: "two",
      folder: "/run/user/1000/hvkit-two",
      log: "/run/user/1000/hvkit-two/daemon.log",
      tcp: { url: "ws://127.0.0.1:4590", tokenFile: "/run/user/1000/hvkit-two/token" },
      engine: { name: "qemu", accel: "tcg", pid: 8, why: "QEMU TCG.", command: ["qemu"], memoryBytes: 2 ** 30, gdb: null },
      hypervisor: {
        version: 1,
        identity: "hvkit 0.1.0",
        module: { slot: 2, identity: "0123456789abcdef" },
        vendor: "AMD SVM",
        cpus: 2,
        perCpu: [
          { index: 0, loadPercent: 37, idleNs: "61000000000", busyNs: "12500000000", guest: "web" },
          { index: 1, loadPercent: 0, idleNs: "73500000000", busyNs: "0", guest: null },
        ],
        tscKhz: 2_500_000,
        features: [],
        totalBytes: 2 ** 30,
        freeBytes: 900 * 2 ** 20,
        dirtyBytes: 0,
        uptimeNs: "1",
        idleNs: "1",
        tsc: "1",
        readyTsc: "1",
        link,
      },
      linkLost: null,
      guests: { total: 2, running: 1 },
      restarts: 1,
      lastFailure: { at: at(30), reason: "The hypervisor panicked: #GP", panic: ["hvkit: panic: #GP", "rip poll+4"] },
    };
    expect(showStatus(status, now)).toMatchInlineSnapshot(`
      "state:     running, for 60 seconds
      instance:  two
      engine:    qemu (tcg), process 8
      chosen:    QEMU TCG.
      vendor:    AMD SVM, 2 CPUs at 2500 MHz
      CPU 0:     37% busy; since the start 12.5 s busy, 61.0 s idle; guest web
      CPU 1:     0% busy; since the start 0.0 s busy, 73.5 s idle
      memory:    900 MiB free of 1 GiB, 0 B to scrub
      build:     hvkit 0.1.0
      machine:   0123456789abcdef, loaded into place 2
      link:      10 frames in (700 B), 12 out (2 KiB), 2 bad, 1 sent again, 0 bytes lost
      guests:    1 running of 2
      daemon:    process 7, /run/user/1000/hvkit-two
      log:       /run/user/1000/hvkit-two/daemon.log
      listens:   ws://127.0.0.1:4590, token in /run/user/1000/hvkit-two/token
      restarts:  1
      failure:   30 seconds ago: The hypervisor panicked: #GP
                 hvkit: panic: #GP
                 rip poll+4"
    `);
  });
});

describe("snapshot", () => {
  const snapshot: SnapshotSummary = {
    name: "before",
    path: "/data/before.hvsnap",
    bytes: 23_456_789,
    createdAt: "2026-01-02T03:00:00.000Z",
    description: "before the upgrade",
    guest: { id: "00112233aabb", name: "web" },
    image: "linux",
    kind: "linux",
    memoryBytes: 256 * MIB,
    engine: { name: "qemu", accel: "tcg", vendor: "AMD SVM", build: "hvkit 1" },
    cpuModel: "portable",
    tscKhz: 2_500_000,
  };

  it("ls shows what there is, and what cannot be read", () => {
    const { name, path, bytes } = snapshot;
    const bad = { name: "bad", path: "/data/bad.hvsnap", bytes: 7, snapshot: null };
    const entries = [
      { ...bad, problem: { code: "E_SNAPSHOT_FORMAT", message: "this is not a snapshot of hvkit" } },
      { name, path, bytes, snapshot, problem: null },
    ];
    expect(showSnapshots(entries, Date.parse("2026-01-02T03:05:00.000Z"))).toMatchInlineSnapshot(`
      "NAME     GUEST   IMAGE   MEMORY    SIZE       TAKEN WITH        CREATED         DESCRIPTION
      bad      -       -       -         7 B        -                 -               E_SNAPSHOT_FORMAT: this is not a snapshot of hvkit
      before   web     linux   256 MiB   22.4 MiB   AMD SVM on qemu   5 minutes ago   before the upgrade"
    `);
  });

  it("check says each thing in the way, and the verdict", () => {
    const obstacles: SnapshotCheck["obstacles"] = [
      { code: "cpu-feature", severity: "error", text: "the CPU lacks avx2" },
      { code: "tsc", severity: "warning", text: "the guest's TSC runs at 2 kHz" },
    ];
    expect(showCheck({ path: "/x", target: "bochs (emulated), Intel VMX", ok: false, obstacles })).toMatchInlineSnapshot(`
      "error: the CPU lacks avx2
      warning: the guest's TSC runs at 2 kHz
      it cannot go on at bochs (emulated), Intel VMX"
    `);
    expect(showCheck({ path: "/x", target: "qemu (tcg), AMD SVM", ok: true, obstacles: [] })).toBe("it can go on at qemu (tcg), AMD SVM");
  });

  it("progress has a bar, how much, how fast, and how long", () => {
    expect(showProgress({ stage: "save", done: 96 * MIB, total: 256 * MIB }, 310)).toMatchInlineSnapshot(
      `"save     [=========               ] 96 MiB of 256 MiB, 310 MiB/s, 1 s left"`,
    );
    expect(showProgress({ stage: "save", done: 0, total: 256 * MIB }, 0)).toMatchInlineSnapshot(
      `"save     [                        ] 0 B of 256 MiB"`,
    );
    expect(showProgress({ stage: "save", done: MIB, total: 256 * MIB }, 1000)).toMatch(/, 1 MiB\/s, 4 min 15 s left$/);
    expect(showProgress({ stage: "save", done: MIB, total: 2 ** 14 * MIB }, 1000)).toMatch(/, 4 h 33 min left$/);
    expect(showProgress({ stage: "save", done: MIB, total: MIB }, 1000)).toMatch(/ 1 MiB of 1 MiB, 1 MiB\/s$/);
    expect(showProgress({ stage: "clone", done: 10, total: 50, unit: "guests" }, 2000)).toMatchInlineSnapshot(
      `"clone    [====                    ] 10 of 50 guests, 5/s, 8 s left"`,
    );
  });
});

describe("stats", () => {
  it("shows exits by reason, most frequent first", () => {
    const stats: GuestStats = {
      id: "a",
      name: "web",
      state: "running",
      cpu: 0,
      exits: "4400",
      lifeNs: "2000000000",
      runNs: "1500000000",
      haltNs: "250000000",
      waitNs: "150000000",
      pausedNs: "100000000",
      handlingNs: "0",
      timed: false,
      traced: false,
      vmcsAccesses: "26400",
      injected: "800",
      firstEntryTsc: "1",
      haltTsc: "1",
      overheadBytes: 180_000,
      nestedTableBytes: 12288,
      nestedFaults: "0",
      nestedFlushes: "1",
      copyFaults: "0",
      copiedBytes: 0,
      byReason: [
        { reason: "io-out", count: "4000" },
        { reason: "cpuid", count: "400" },
      ],
    };
    expect(showStats(stats)).toMatchInlineSnapshot(`
      "exits:            4400
      life:             2.000 s
      ran:              1.500 s, with the handling of its exits
      halted:           0.250 s
      waited:           0.150 s for a CPU
      paused:           0.100 s
      interrupts:       800 injected
      nested faults:    0
      overhead:         176 KiB, and 12 KiB of nested tables
      VMREAD, VMWRITE:  26400

      EXIT     COUNT   SHARE
      io-out   4000     90.9 %
      cpuid     400      9.1 %"
    `);
    expect(showStats({ ...stats, copyFaults: "20", copiedBytes: 65_536 })).toContain(
      "copied:           64 KiB, by 20 writes to shared memory\n",
    );
    expect(showStats({ ...stats, timed: true, handlingNs: "250000000" })).toContain("1.500 s, 0.250 s of it in the handling of exits\n");
    expect(showStats({ ...stats, handlingNs: "250000000" })).toContain(
      "1.500 s, 0.250 s of it in the handling of exits while that was timed\n",
    );
  });
});

describe("regs", () => {
  it("has the form of QEMU's info registers", () => {
    const registers = Object.fromEntries(
      Array.from({ length: Register.Count }, (_, index) => [registerName(index), `0x${index.toString(16)}`]),
    );
    Object.assign(registers, {
      rflags: "0x246",
      "cs.selector": "0x10",
      "cs.attributes": "0xa09b",
      "ss.attributes": "0xc093",
      "tr.attributes": "0x8b",
      "fs.attributes": "0x10000",
    });
    expect(showRegisters({ registers, idle: true, state: "running" })).toMatchInlineSnapshot(`
      "RAX=0000000000000000 RBX=0000000000000003 RCX=0000000000000001 RDX=0000000000000002
      RSI=0000000000000006 RDI=0000000000000007 RBP=0000000000000005 RSP=0000000000000004
      R8 =0000000000000008 R9 =0000000000000009 R10=000000000000000a R11=000000000000000b
      R12=000000000000000c R13=000000000000000d R14=000000000000000e R15=000000000000000f
      RIP=0000000000000010 RFL=00000246 [---Z-P-] CPL=0 II=77 HLT=1 (running)
      ES =0019 000000000000001a 0000001b 00001c00
      CS =0010 000000000000001e 0000001f 00a09b00 DPL=0 CS64 [-RA]
      SS =0021 0000000000000022 00000023 00c09300 DPL=0 DS32 [-WA]
      DS =0025 0000000000000026 00000027 00002800
      FS =0029 000000000000002a 0000002b 00000000
      GS =002d 000000000000002e 0000002f 00003000
      LDT=0031 0000000000000032 00000033 00003400
      TR =0035 0000000000000036 00000037 00008b00 DPL=0 TSS-busy
      GDT=     0000000000000039 0000003a
      IDT=     000000000000003b 0000003c
      CR0=00000012 CR2=0000000000000013 CR3=0000000000000014 CR4=00000015 CR8=16
      DR0=000000000000003d DR1=000000000000003e DR2=000000000000003f DR3=0000000000000040
      DR6=0000000000000041 DR7=0000000000000042
      EFER=0000000000000017 XCR0=0000000000000018 PAT=000000000000004b
      STAR=0000000000000043 LSTAR=0000000000000044 CSTAR=0000000000000045 SFMASK=0000000000000046
      KERNELGSBASE=0000000000000047 SYSENTER=0048:000000000000004a ESP=0000000000000049
      TSC=76"
    `);
  });
});

describe("mem", () => {
  it("has the form of xxd", () => {
    expect(hexDump(Buffer.from("Hello, guest!\n\0\xff0123", "latin1"), 0x7c00)).toBe(
      "00007c00: 4865 6c6c 6f2c 2067 7565 7374 210a 00ff  Hello, guest!...\n00007c10: 3031 3233                                0123",
    );
  });
});
