// What Linux wrote when it panicked: the reason and the trace, out of a guest's console.

export interface KernelPanic {
  /** behind "Kernel panic - not syncing:" */
  reason: string;
  /** what went wrong first, when it said so: "BUG: kernel NULL pointer dereference, address: 0000000000000000" */
  cause: string | null;
  /** where it was, and the first call trace, the innermost function first: "boom+0x5/0x10 [module]"; those that Linux is not sure of begin with "? " */
  trace: string[];
}

const PANIC = /Kernel panic - not syncing: (.*)$/;
/** as they begin: mm/, lib/, arch/x86/ of Linux */
const CAUSE =
  /(?:^|\s)((?:BUG|kernel BUG at|Oops|general protection fault|invalid opcode|divide error|Unable to handle|stack segment)\b.*)$/;
const PLACE = /^RIP: 0010:(\S+\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?)/;
const ENTRY = /^(?:\? )?[\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[\w+\])?$/;

/** what Linux says last when it does not reboot: it spins from there on */
const STANDS = /---\[ end Kernel panic - not syncing: /;

/** It panicked, and stands still for ever: it was not told to reboot (panic=, `hvkit run --no-reboot`). */
export function standsStill(console: string): boolean {
  return STANDS.test(console);
}

/** The last one's; undefined: it did not panic. */
export function kernelPanic(console: string): KernelPanic | undefined {
  const lines = console.split(/\r?\n/).map((line) => line.replace(/^.*?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? /, ""));
  const at = lines.findLastIndex((line) => PANIC.test(line) && !line.startsWith("---["));
  if (at < 0) return undefined;
  const reason = PANIC.exec(lines[at] ?? "")?.[1]?.trim() ?? "";
  // What led to it stands before it, of this boot.
  const boot = lines.findLastIndex((line, index) => index < at && /Linux version \d|hvkit: user space reached/.test(line)) + 1;
  const before = lines.slice(boot, at);
  const causeAt = before.findIndex((line) => CAUSE.test(line));
  const cause = CAUSE.exec(before[causeAt] ?? "")?.[1]?.trim() ?? null;
  const told = causeAt < 0 ? lines.slice(at) : lines.slice(boot + causeAt);
  const begin = told.findIndex((line) => /Call Trace:/.test(line)) + 1;
  const trace = told.slice(0, Math.max(0, begin - 1)).flatMap((line) => PLACE.exec(line)?.slice(1, 2) ?? []);
  for (const line of begin === 0 ? [] : told.slice(begin)) {
    const entry = line.trim();
    if (ENTRY.test(entry)) trace.push(entry);
    else if (!/^<\/?\w+>$/.test(entry)) break;
  }
  return { reason, cause, trace };
}
