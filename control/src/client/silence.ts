// Whether a command is still waited for while its guest's agent says nothing. A guest that is paused or waits for a CPU, a host that is busy and an
// engine that is slow are waited for however long: what counts is the time that the guest itself had, run and halted, without a frame of its agent.
// The agent gives up a command after as long. A kernel that panicked and stands still says so on its console, and is given up at once.
import { AgentLimit } from "../../../protocol/agent.js";
import type { GuestSummary } from "../api/schemas.js";
import { HvkitError } from "../errors.js";
import { type KernelPanic, kernelPanic, standsStill } from "../linux/kernelpanic.js";
import type { Client } from "./client.js";

const LIMIT_NS = BigInt(AgentLimit.SilenceSeconds) * 1_000_000_000n;
/** the console's last bytes, in which a panic is looked for */
const LAST_BYTES = 2 ** 16;
const LAST_LINES = 5;

export class Silence {
  /** the guest's own time at the first look since its agent was heard */
  #since: bigint | undefined;
  /** how often it was heard: what was asked before is no news then */
  #heard = 0;

  /** @param consoleFrom where its console was when the command began: what stands before is no panic of now
   *  @param onOver called when it is waited for no more */
  constructor(
    private readonly client: Client,
    private readonly guest: GuestSummary,
    private readonly consoleFrom: number,
    private readonly onOver: (error: HvkitError) => void,
  ) {}

  /** A frame of the agent came. */
  readonly broken = (): void => {
    this.#heard++;
    this.#since = undefined;
  };

  /** The agent was asked, and has not answered. What cannot be asked of the daemon now is no reason to give up. */
  readonly look = (): void => {
    this.#look().catch(() => {});
  };

  async #look(): Promise<void> {
    const heard = this.#heard;
    const { state, runNs, haltNs } = await this.client.call("stats", { guest: this.guest.id });
    const text = await lastWords(this.client, this.guest.id, this.consoleFrom);
    if (heard !== this.#heard || state !== "running") return;
    const panic = standsStill(text) ? kernelPanic(text) : undefined;
    const now = BigInt(runNs) + BigInt(haltNs);
    // A guest that was reset begins anew.
    if (this.#since === undefined || now < this.#since) this.#since = now;
    if (panic || now - this.#since >= LIMIT_NS) this.onOver(silent(this.guest, text, panic));
  }
}

/** The end of a guest's console, from `from` on. Of a guest that was removed there is none. */
export async function lastWords(client: Client, guest: string, from = 0): Promise<string> {
  try {
    const { end } = await client.call("logs", { guest, length: 1 });
    const offset = Math.max(from, end - LAST_BYTES);
    if (offset >= end) return "";
    const { data } = await client.call("logs", { guest, offset, length: LAST_BYTES });
    return Buffer.from(data, "base64").toString("latin1");
  } catch {
    return "";
  }
}

/** The cause and the reason as a sentence's end. */
export function panicText({ cause, reason }: KernelPanic): string {
  return `its kernel panicked: ${[cause, reason].filter((part) => part !== null).join("; ")}`;
}

function silent({ name }: GuestSummary, text: string, panic: KernelPanic | undefined): HvkitError {
  const lines = text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "")
    .slice(-LAST_LINES);
  const why = panic
    ? `${panicText(panic)}; it stands still`
    : `its agent said nothing in ${AgentLimit.SilenceSeconds} s that the guest ran or was halted; ${
        lines.length > 0 ? `its console's last lines:\n${lines.join("\n")}` : "its console has said nothing since the command began"
      }`;
  const way = panic ? "with `--no-reboot` a guest ends when its kernel panics" : `\`hvkit why ${name}\` says what keeps it`;
  return new HvkitError("E_EXEC_SILENT", `guest '${name}' answers no more while the command runs: ${why}`, {
    hint: `\`hvkit logs ${name}\` shows its last words, \`hvkit reset ${name}\` starts it again; ${way}.`,
    data: { panic: panic ?? null, console: lines },
  });
}
