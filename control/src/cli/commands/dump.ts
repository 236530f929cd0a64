// hvkit dump: a guest as an ELF core file. A guest that runs stands still while its RAM is copied.
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { Command } from "@commander-js/extra-typings";
import { showSize } from "../../api/size.js";
import { HvkitError } from "../../errors.js";
import { fileError } from "../../files.js";
import { type CoreSink, copyRam, finishCore, gdbArchitecture, RAM_OFFSET } from "../../inspect/coredump.js";
import type { MachineView, Registers } from "../../inspect/view.js";
import type { PhysicalMemory } from "../../inspect/walk.js";
import { Interrupts } from "../../interrupts.js";
import { note, print, printJson } from "../output.js";
import { ProgressBar } from "../progress.js";
import { SUBJECT, type Subject, withSubject } from "../subject.js";

export const dump = () =>
  new Command("dump")
    .description("write a guest to an ELF core file, for gdb")
    .argument("<guest-or-snapshot>", SUBJECT)
    .option("-o, --output <file>", "the file; by default GUEST.core")
    .option("-p, --physical", "one segment, by guest-physical address: all of RAM")
    .option("--json", "print {guest, file, bytes, segments, architecture}")
    .addHelpText(
      "after",
      `
With paging on, the file's addresses are the guest's own (linear), as its page tables map them; what they do not map is in the
file, but in no segment. A guest that runs is paused meanwhile, and its clocks stand still. Pages of zeros take no room.

Examples:
  hvkit dump web -o web.core
  hvkit dump ./web.hvsnap -o web.core
  gdb -ex 'info registers' -ex 'x/8i $rip' -c web.core`,
    )
    .action(async (guest, { output, physical = false, json }) => {
      await withSubject(guest, async (subject) => {
        const { view } = subject;
        const path = output ?? `${view.name}.core`;
        const stop = standstill(subject);
        await withDraft(path, async (file) => {
          const resume = await stop?.();
          const registers = await copy(file, view).finally(resume);
          const { bytes, segments } = await finishCore(sinkOf(file, path), fileMemory(file, view.memory.bytes), registers, { physical });
          const architecture = gdbArchitecture(registers);
          if (json) printJson({ guest: view.name, file: path, bytes, segments, architecture });
          else print(`${path}: ${showSize(bytes)}, ${segments} segments`);
          if (!json && architecture !== "i386:x86-64") note(`In gdb, for its code: set architecture ${architecture}`);
        });
      });
    });

/** What pauses a guest that runs, and gives what lets it go on; undefined: it stands. */
function standstill({ live }: Subject): (() => Promise<() => Promise<void>>) | undefined {
  if (live?.detail.state !== "running") return undefined;
  const { client, detail } = live;
  const { id, name, debugged } = detail;
  // A pause would be a stop to the debugger, and its breakpoints lie in RAM.
  if (debugged) {
    throw new HvkitError("E_DEBUG_ATTACHED", `guest '${name}' runs in a debugger's hands`, {
      hint: "Stop it there, by ^C in gdb, or detach.",
      data: { guest: name },
    });
  }
  return async () => {
    await client.call("pause", { guest: id });
    return async () => void (await client.call("unpause", { guest: id }));
  };
}

/** RAM, and the registers of the same moment. ^C breaks it off: what was begun is taken back first. */
async function copy({ handle, path }: Draft, view: MachineView): Promise<Registers> {
  const progress = new ProgressBar();
  let interrupted = false;
  const interrupts = new Interrupts(() => {
    interrupted = true;
  });
  try {
    const registers = await view.registers();
    await copyRam(sinkOf({ handle, path }, path), view.memory, (done, total) => {
      if (interrupted) throw new HvkitError("E_INTERRUPTED", "the dump was broken off", { hint: "No file was written." });
      progress.show({ stage: "copy", done, total });
    });
    return registers;
  } finally {
    interrupts.close();
    progress.clear();
  }
}

interface Draft {
  handle: FileHandle;
  path: string;
}

/** The file is there when all of it is; before that it has another name, and after a failure it is gone. */
async function withDraft(path: string, work: (file: Draft) => Promise<void>): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  const handle = await open(draft, "w+", 0o600).catch((error: unknown) => {
    throw outputError(error, path);
  });
  try {
    await work({ handle, path });
    await handle.close();
    await rename(draft, path).catch((error: unknown) => {
      throw outputError(error, path);
    });
  } finally {
    await handle.close().catch(() => {});
    await rm(draft, { force: true });
  }
}

function sinkOf({ handle }: Draft, path: string): CoreSink {
  return {
    write: async (bytes, position) => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done).catch((error: unknown) => {
          throw outputError(error, path);
        });
        done += bytesWritten;
      }
    },
  };
}

/** What was copied; holes, and what lies beyond the file's end as yet, are zeros. */
function fileMemory({ handle }: Draft, memoryBytes: number): PhysicalMemory {
  return {
    bytes: memoryBytes,
    read: async (address, length) => {
      const buffer = Buffer.alloc(length);
      await handle.read(buffer, 0, length, RAM_OFFSET + address);
      return buffer;
    },
  };
}

function outputError(error: unknown, path: string): unknown {
  const known = fileError(error, path);
  if (known instanceof HvkitError) return known;
  return new HvkitError("E_OUTPUT", `${path} cannot be written: ${(error as Error).message}`, { data: { path }, cause: error });
}
