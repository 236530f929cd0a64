// The command line as a tree: every command, in the order of the help. A command's file is loaded when it is asked for, so that
// small commands start fast; help, completion and the documents load them all.
import { Command, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { projectVersion } from "../api/root.js";
import { HvkitError } from "../errors.js";
import type { Tree } from "./completion.js";
import { printError } from "./output.js";
import { chooseDaemon, daemonOptions } from "./whichdaemon.js";

type Make = (tree: Tree) => CommandUnknownOpts;

/** In the order of the help. */
export const COMMANDS: Record<string, () => Promise<Make>> = {
  up: async () => (await import("./commands/up.js")).up,
  down: async () => (await import("./commands/down.js")).down,
  status: async () => (await import("./commands/status.js")).status,
  bridge: async () => (await import("./commands/bridge.js")).bridge,
  images: async () => (await import("./commands/images.js")).images,
  run: async () => (await import("./commands/run.js")).run,
  clone: async () => (await import("./commands/clone.js")).clone,
  ps: async () => (await import("./commands/ps.js")).ps,
  inspect: async () => (await import("./commands/inspect.js")).inspect,
  logs: async () => (await import("./commands/logs.js")).logs,
  events: async () => (await import("./commands/events.js")).events,
  console: async () => (await import("./commands/console.js")).console,
  exec: async () => (await import("./commands/exec.js")).exec,
  pause: async () => (await import("./commands/pause.js")).pause,
  unpause: async () => (await import("./commands/unpause.js")).unpause,
  reset: async () => (await import("./commands/reset.js")).reset,
  stop: async () => (await import("./commands/stop.js")).stop,
  kill: async () => (await import("./commands/kill.js")).kill,
  rm: async () => (await import("./commands/rm.js")).rm,
  snapshot: async () => (await import("./commands/snapshot.js")).snapshot,
  restore: async () => (await import("./commands/restore.js")).restore,
  revert: async () => (await import("./commands/revert.js")).revert,
  open: async () => (await import("./commands/open.js")).open,
  regs: async () => (await import("./commands/regs.js")).regs,
  mem: async () => (await import("./commands/mem.js")).mem,
  cpu: async () => (await import("./commands/cpu.js")).cpu,
  machine: async () => (await import("./commands/machine.js")).machine,
  disasm: async () => (await import("./commands/disasm.js")).disasm,
  walk: async () => (await import("./commands/walk.js")).walk,
  dump: async () => (await import("./commands/dump.js")).dump,
  dmesg: async () => (await import("./commands/dmesg.js")).dmesg,
  why: async () => (await import("./commands/why.js")).why,
  stats: async () => (await import("./commands/stats.js")).stats,
  explain: async () => (await import("./commands/explain.js")).explain,
  trace: async () => (await import("./commands/trace.js")).trace,
  top: async () => (await import("./commands/top.js")).top,
  dev: async () => (await import("./commands/dev.js")).dev,
  debug: async () => (await import("./commands/debug.js")).debug,
  doctor: async () => (await import("./commands/doctor.js")).doctor,
  version: async () => (await import("./commands/version.js")).version,
  completion: async () => (await import("./commands/completion.js")).completion,
  complete: async () => (await import("./commands/complete.js")).complete,
};

/** programs call them */
export const HIDDEN: readonly string[] = ["complete"];

const AFTER_HELP = `
Examples:
  hvkit up                         boot the hypervisor in the best engine of this machine
  hvkit run linux                  run Debian's kernel as a guest and watch its console (^] leaves)
  hvkit ps                         what runs
  hvkit down                       end all
  hvkit --instance two up          a second hypervisor; each command takes --instance, or HVKIT_INSTANCE

Exit codes:
  0    done
  1    failed: standard error has 'hvkit: E_CODE: what was wrong. what to do'
  2    wrong usage
  130  broken off by ^C; what it had begun is taken back
  'hvkit run' without -d and without a terminal has the guest's: 0 after a power-off, the value written to debug-exit as QEMU
  shows it, else 1. 'hvkit exec' has the command's; 125 to 127 when it could not be run ('hvkit help exec').

With NO_COLOR set, or without a terminal, there are no colours. A message is on standard error, data is on standard output.`;

export const commandTree: Tree = (name = "") => makeProgram(Object.hasOwn(COMMANDS, name) ? { names: [name] } : {});

/** @param names the commands that it shall have; all without
 *  @param json whether errors are told as JSON: known when it parses */
export async function makeProgram({ names = Object.keys(COMMANDS), json = (): boolean => false } = {}): Promise<CommandUnknownOpts> {
  const program = new Command("hvkit")
    .description("Boots a small bare-metal hypervisor (Intel VMX, AMD SVM), runs guests on it and reads their state.")
    .version(projectVersion(), "-V, --version", "print hvkit's version")
    .helpCommand("help [command]", "show what a command does")
    .addHelpText("after", AFTER_HELP)
    .hook("preAction", (own) => chooseDaemon(own.opts()));
  for (const option of daemonOptions()) program.addOption(option);
  for (const name of names) {
    const make = await COMMANDS[name]?.();
    if (make) program.addCommand(make(commandTree), { hidden: HIDDEN.includes(name) });
  }
  configure(program, "", json);
  return program;
}

/** A command and those below it: how wrong usage is told. */
function configure(command: CommandUnknownOpts, topic: string, json: () => boolean): void {
  command.exitOverride().configureOutput({ outputError: (text) => printError(usageError(text, topic), json()) });
  for (const below of command.commands) configure(below, `${topic} ${below.name()}`, json);
}

/** of what Commander says: "error: unknown command 'p'", with a suggestion on a second line */
function usageError(text: string, topic: string): HvkitError {
  const message = text
    .replace(/^error: /, "")
    .trim()
    .replaceAll("\n", " ");
  return new HvkitError("E_USAGE", message, { hint: `\`hvkit help${topic}\` shows what there is.` });
}
