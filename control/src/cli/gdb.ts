// gdb itself: how it is called, and called. It has the terminal, and ^C, until it ends.
import { spawn } from "node:child_process";
import type { Symbols } from "../debug/symbols.js";
import { HvkitError } from "../errors.js";
import { Interrupts } from "../interrupts.js";

function argumentsOf(target: string, symbols: Symbols | undefined): string[] {
  const file =
    symbols === undefined
      ? []
      : symbols.offset === 0n
        ? [symbols.file]
        : ["-ex", `symbol-file -o 0x${symbols.offset.toString(16)} ${symbols.file}`];
  // A multiboot kernel's file is an i386 one; the CPU has its 64-bit registers all the same.
  return [...file, "-ex", "set architecture i386:x86-64", "-ex", `target remote ${target}`];
}

/** For a shell. */
export function showGdb(target: string, symbols: Symbols | undefined): string {
  return ["gdb", ...argumentsOf(target, symbols)]
    .map((word) => (/^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}

/** @param rest what else gdb is told, after it is connected
 *  @returns gdb's exit code. Errors: E_GDB_MISSING */
export async function runGdb(target: string, symbols: Symbols | undefined, rest: readonly string[]): Promise<number> {
  const interrupts = new Interrupts(() => {}, ["SIGINT"]); // gdb has it, too
  try {
    // Options like -batch come first: gdb reads its -ex in their order.
    const child = spawn("gdb", ["-q", ...argumentsOf(target, symbols), ...rest], { stdio: "inherit" });
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => reject(error.code === "ENOENT" ? missing() : error));
      child.once("exit", (code, signal) => resolve(code ?? (signal === null ? 0 : 1)));
    });
  } finally {
    interrupts.close();
  }
}

function missing(): HvkitError {
  return new HvkitError("E_GDB_MISSING", "gdb is not installed, or not in PATH", {
    hint: "Debian, Ubuntu, Fedora, Arch and Homebrew have it as `gdb`. Another debugger that speaks gdb's remote protocol can connect, too.",
  });
}
