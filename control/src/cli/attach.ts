// A terminal on a guest's console, for `run` and `console`: raw keys in, bytes out, ^] leaves.
import type { Client } from "../client/client.js";
import { Console, type ConsoleEnd, type ConsoleOptions } from "../client/console.js";
import { HvkitError } from "../errors.js";
import { Interrupts } from "../interrupts.js";
import { note, style } from "./output.js";

/** ^] as telnet and virsh have it */
const LEAVE = 0x1d;

const LOST = { "not kept": "they are not kept any more", "no room": "there was no room for them" } as const;

export interface AttachOptions {
  /** send what is typed, or piped in */
  forwardInput: boolean;
  /** bytes of the log to show first; all of it when not given */
  tail?: number;
  /** where the console is printed; standard output when not given */
  output?: NodeJS.WriteStream;
}

/** Resolves when the guest has ended for good; undefined: the user left. */
export async function attach(
  client: Client,
  guest: string,
  { forwardInput, tail, output = process.stdout }: AttachOptions,
): Promise<ConsoleEnd | undefined> {
  const { stdin } = process;
  const raw = forwardInput && stdin.isTTY;
  const onLost: ConsoleOptions["onLost"] = (count, why) => say(`here ${count} bytes are missing: ${LOST[why]}`, raw);
  const console = await Console.open(client, guest, {
    onBytes: (bytes) => writeOut(output, bytes),
    onLost,
    ...(tail === undefined ? {} : { tail }),
  });
  let failed: Error | undefined;
  const onInput = (bytes: Buffer): void => {
    const leave = raw ? bytes.indexOf(LEAVE) : -1;
    const typed = leave < 0 ? bytes : bytes.subarray(0, leave);
    if (typed.length > 0) {
      console.write(typed).catch((error: Error) => {
        // A guest that does not read its console takes no more keys; it still writes.
        if (error instanceof HvkitError && error.code === "E_CONSOLE_FULL") {
          if (raw) process.stderr.write("\x07");
          return;
        }
        failed = error;
        console.close();
      });
    }
    if (leave >= 0) console.close();
  };
  const interrupts = new Interrupts(() => console.close());
  if (raw) stdin.setRawMode(true);
  if (forwardInput) stdin.on("data", onInput).resume();
  try {
    const end = await console.ended;
    if (failed) throw failed;
    if (end) say(`${console.guest.name} ${end.state === "lost" ? "is lost" : "has ended"}: ${end.end?.text ?? end.state}`, raw);
    else say(`left; the guest goes on: hvkit console ${console.guest.name}`, raw);
    return end;
  } finally {
    interrupts.close();
    if (forwardInput) stdin.off("data", onInput).pause();
    if (raw) stdin.setRawMode(false);
    if (forwardInput && "unref" in stdin) stdin.unref();
  }
}

/** As the guest's QEMU would exit: 0 after a power-off, what debug-exit got, else 1. */
export function exitCodeOf({ state, end }: ConsoleEnd): number {
  if (state === "exited" && end?.code === "power-off") return 0;
  if (state === "exited" && end?.code === "debug-exit") return Number(BigInt(end.value) & 0xffn);
  return 1;
}

function say(text: string, afterRaw: boolean | undefined): void {
  note(`${afterRaw ? "\r\n" : ""}${style(`hvkit: ${text}`, "dim", process.stderr)}`);
}

/** Waits for a slow reader instead of keeping its bytes. */
function writeOut(output: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> | void {
  if (output.write(bytes)) return undefined;
  return new Promise((resolve) => output.once("drain", resolve));
}
