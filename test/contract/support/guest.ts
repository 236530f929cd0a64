// A guest in a contract test: its console as text, its end, and waiting for either.

import { describeEnd } from "../../../control/src/hypervisor/texts.js";
import { type EndReason, RunState } from "../../../protocol/messages.js";
import type { Machine } from "./machine.js";

export interface GuestEnd {
  reason: EndReason;
  value: bigint;
  rip: bigint;
}

/** What a guest that runs wild may leave in our memory. */
const CONSOLE_LIMIT = 1 << 20;

export class Guest {
  /** what it wrote to COM1 */
  console = "";
  lost = 0;
  end: GuestEnd | undefined;
  #waiting = new Set<() => void>();

  constructor(
    private readonly machine: Machine,
    readonly name: string,
    readonly slot: number,
    /** when the hypervisor took up the request to make it */
    readonly requestTsc: bigint,
  ) {}

  take(port: number, bytes: Uint8Array): void {
    if (port !== 0) return;
    this.console = (this.console + Buffer.from(bytes).toString("latin1")).slice(-CONSOLE_LIMIT);
    this.#wake();
  }

  lose(count: number): void {
    this.lost += count;
  }

  finish(end: GuestEnd): void {
    this.end = end;
    this.#wake();
  }

  /** The first match of `pattern` on the console from offset `from` on. Fails when the guest ends without it, or after `seconds`. */
  async shows(pattern: string | RegExp, seconds = 20, from = 0): Promise<RegExpExecArray> {
    const expression = typeof pattern === "string" ? new RegExp(pattern.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&")) : pattern;
    const match = await this.#until(() => expression.exec(this.console.slice(from)) ?? undefined, seconds, `shows ${expression}`);
    return match;
  }

  async ends(seconds = 20): Promise<GuestEnd> {
    return this.#until(() => this.end, seconds, "ends");
  }

  async write(text: string): Promise<void> {
    await this.machine.hypervisor.consoleWrite(this.slot, 0, Buffer.from(text));
  }

  async remove(): Promise<void> {
    this.machine.forget(this);
    const { hypervisor } = this.machine;
    const state = await hypervisor.guestState(this.slot);
    if (state.state !== RunState.Ended && state.state !== RunState.Created) {
      // It may end by itself meanwhile.
      await hypervisor.guestKill(this.slot).catch((error: { code?: string }) => {
        if (error.code !== "E_HV_BAD_STATE") throw error;
      });
    }
    await hypervisor.guestDestroy(this.slot);
  }

  async #until<T>(look: () => T | undefined, seconds: number, what: string): Promise<T> {
    const limit = seconds * this.machine.target.patience;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => give(new Error(`${this.name} does not: ${what} within ${limit} s${this.#words()}`)), limit * 1000);
      const give = (result: T | Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const check = (): void => {
        const found = look();
        if (found !== undefined) give(found);
        else if (this.end && what !== "ends") {
          // The last bytes of the console may come just after the news of the end.
          setTimeout(() => {
            const late = look();
            give(late ?? new Error(`${this.name} ended before it did: ${what}${this.#words()}`));
          }, 200);
        }
      };
      this.#waiting.add(check);
      check();
    });
  }

  #words(): string {
    const end = this.end ? `\nend: ${describeEnd(this.end.reason, this.end.value)} rip ${this.end.rip.toString(16)}` : "";
    // What failed may stand far before the end.
    const failed = this.console.split("\n").filter((line) => line.startsWith("FAIL"));
    return `${failed.map((line) => `\n${line}`).join("")}\nconsole: ${this.console.slice(-2000)}${end}`;
  }

  #wake(): void {
    for (const check of this.#waiting) check();
  }
}
