// gdb's `monitor` commands: what is asked of hvkit rather than of the guest's CPU.
import { HvkitError } from "../errors.js";
import type { Cpu } from "./cpu.js";

export interface MonitorCommand {
  name: string;
  /** for `monitor help`; what stands in capitals is an argument */
  usage: string;
  does: string;
  run: (argument: string, cpu: Cpu) => Promise<string>;
}

/** Where a linear address is in the guest's memory. */
const physical: MonitorCommand = {
  name: "physical",
  usage: "physical ADDRESS",
  does: "print where a virtual address is in the guest's physical memory",
  run: async (argument, cpu) => {
    if (!/^(?:0x[0-9a-f]{1,16}|\d{1,20})$/i.test(argument)) throw new HvkitError("E_USAGE", `'${argument}' is no address`);
    const linear = BigInt.asUintN(64, BigInt(argument));
    const found = await cpu.memory.physical(linear);
    return found === undefined ? `0x${linear.toString(16)}: not mapped\n` : `0x${linear.toString(16)}: physical 0x${found.toString(16)}\n`;
  },
};

/** @param commands those that the caller has, besides `help` and `physical` */
export function monitorOf(commands: readonly MonitorCommand[]): (line: string, cpu: Cpu) => Promise<string> {
  const all = [...commands, physical];
  const help = (): string => {
    const width = Math.max(...all.map(({ usage }) => usage.length));
    return `${all.map(({ usage, does }) => `monitor ${usage.padEnd(width)}  ${does}`).join("\n")}\n`;
  };
  return async (line, cpu) => {
    const [, name = "help", argument = ""] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    if (name === "help") return help();
    const command = all.find((candidate) => candidate.name === name);
    if (!command) throw new HvkitError("E_USAGE", `there is no monitor command '${name}'`, { hint: "`monitor help` lists them." });
    return command.run(argument, cpu);
  };
}
