// What Linux 6.1 writes when it panics, to reason and trace.
import { expect, test } from "vitest";
import { kernelPanic } from "../../../control/src/linux/kernelpanic.js";

const OOPS = `[    4.120000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    4.121000] #PF: supervisor write access in kernel mode
[    4.122000] Oops: 0002 [#1] PREEMPT SMP NOPTI
[    4.123000] RIP: 0010:boom_init+0x5/0x10 [boom]
[    4.124000] Call Trace:
[    4.125000]  <TASK>
[    4.126000]  ? __die+0x20/0x70
[    4.127000]  do_one_initcall+0x44/0x220
[    4.128000]  do_init_module+0x4c/0x1f0
[    4.129000]  </TASK>
[    4.130000] Modules linked in: boom(OE+)
[    4.140000] Kernel panic - not syncing: Fatal exception
[    4.150000] ---[ end Kernel panic - not syncing: Fatal exception ]---
`;

test("an oops: the cause and its trace, beside the panic's reason", () => {
  expect(kernelPanic(OOPS.replaceAll("\n", "\r\n"))).toEqual({
    reason: "Fatal exception",
    cause: "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    trace: ["boom_init+0x5/0x10 [boom]", "? __die+0x20/0x70", "do_one_initcall+0x44/0x220", "do_init_module+0x4c/0x1f0"],
  });
});

test("a panic alone has the trace that follows it", () => {
  const console = `shell$ echo c > /proc/sysrq-trigger
[   10.0] Kernel panic - not syncing: sysrq triggered crash
[   10.1] CPU: 0 PID: 1 Comm: sh
[   10.2] Call Trace:
[   10.3]  <TASK>
[   10.4]  dump_stack_lvl+0x44/0x5c
[   10.5]  panic+0x118/0x2f0
[   10.6]  </TASK>
[   10.7] Kernel Offset: disabled
[   10.8] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---
`;
  expect(kernelPanic(console)).toEqual({
    reason: "sysrq triggered crash",
    cause: null,
    trace: ["dump_stack_lvl+0x44/0x5c", "panic+0x118/0x2f0"],
  });
});

test("an oops of the boot before is not this panic's cause", () => {
  const console = `${OOPS}[    0.0] Linux version 6.1.0\n[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n`;
  expect(kernelPanic(console)).toEqual({ reason: "VFS: Unable to mount root fs", cause: null, trace: [] });
});

test("without a panic there is none", () => {
  expect(kernelPanic("hvkit: user space reached\n")).toBeUndefined();
});
