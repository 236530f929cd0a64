// Every metric: its unit and target, and which way is better. docs/bench.md says how each is measured.
// `target` is a number, or one for each vendor or engine.

export const metrics = {
  "exit.cpuid": { unit: "instructions", target: { "Intel VMX": 150, "AMD SVM": 200 } },
  "exit.hypercall": { unit: "instructions", target: { "Intel VMX": 150, "AMD SVM": 200 } },
  "exit.out": { unit: "instructions", target: 300 },
  "exit.in": { unit: "instructions" },
  "exit.rdmsr": { unit: "instructions" },
  "exit.vmcs_accesses": { unit: "accesses", target: { "Intel VMX": 6 } },
  "trace.cost": { unit: "instructions", target: 19.9 },
  "boot.reset_to_ready": { unit: "instructions", target: { qemu: 12e6 } },
  "linux.to_init": { unit: "instructions", atMost: { metric: "linux.direct", factor: 1.03 } },
  "linux.direct": { unit: "instructions" },
  "linux.exits": { unit: "exits", target: 5000 },
  "image.bytes": { unit: "bytes", target: 96 * 1024 },
  "guest.create": { unit: "instructions", target: 1e6 },
  "guest.overhead_bytes": { unit: "bytes", target: 256 * 1024 },
  "sched.switch": { unit: "instructions", target: 700 },
  "cpus.speedup": { unit: "times", more: true },
  "upload.mb_per_s": { unit: "MB/s", target: { qemu: 200, bochs: 8 }, more: true },
  "snapshot.save_mb_per_s": { unit: "MB/s", target: { qemu: 300 }, more: true },
  "snapshot.restore_ms": { unit: "ms" },
  "snapshot.restore_to_first_instruction": { unit: "instructions", target: { qemu: 1e6 } },
  "snapshot.bytes": { unit: "bytes" },
  "clone.instructions": { unit: "instructions", target: 100e3 },
  "clone.protect_instructions": { unit: "instructions" },
  "clone.bytes": { unit: "bytes", target: 96 * 1024 },
  "clone.wall_ms": { unit: "ms" },
  "cow.fault": { unit: "instructions", target: 900 },
  "cow.first_fault": { unit: "instructions", target: 3500 },
  "guests.max_in_1g": { unit: "guests", target: 500, more: true },
  "dev.save_to_output_ms": { unit: "ms", target: { qemu: 5000 } },
  "swap.ms": { unit: "ms" },
  "gdb.read_mb_per_s": { unit: "MB/s", target: { qemu: 1 }, more: true },
  "rpc.median_ms": { unit: "ms", target: { qemu: 3 } },
  "daemon.rss_mb": { unit: "MB" },
  "cli.start_ms": { unit: "ms", target: 200 },
  "rpc.per_s": { unit: "requests", target: { qemu: 500 }, more: true },
  "console.bytes_per_s": { unit: "bytes", more: true },
  "link.goodput": { unit: "KB/s", more: true },
  "link.goodput_1e-5": { unit: "KB/s", more: true },
  "link.goodput_1e-4": { unit: "KB/s", more: true },
  "explain.ms": { unit: "ms", target: 50 },
};

/** A metric that an engine does not have. */
export const none = (reason) => ({ value: null, reason });

/** The number to reach, or undefined. */
export function targetOf(name, { engine, vendor, metrics: values }) {
  const { target, atMost } = metrics[name];
  if (atMost) {
    const base = values[atMost.metric];
    return typeof base === "number" ? base * atMost.factor : undefined;
  }
  return typeof target === "object" ? (target[engine] ?? target[vendor]) : target;
}

/** PASS, over or under; undefined without a target or a value. */
export function verdictOf(name, result) {
  const value = result.metrics[name];
  const target = targetOf(name, result);
  if (typeof value !== "number" || target === undefined) return undefined;
  if (metrics[name].more) return value >= target ? "PASS" : "under";
  return value <= target ? "PASS" : "over";
}
