// Collects a panic report from the hypervisor's raw text lines (hv/asm writes them) and adds the names of return addresses.
//
//   hvkit: panic: <what>
//   hvkit: rax=0123456789abcdef ...      registers, any number of lines
//   hvkit: exit reason=...
//   hvkit: return 0x...                  one line for each frame
//   hvkit: panic end
import type { Symbolizer } from "./symbols.js";

const PREFIX = "hvkit: ";
const START = `${PREFIX}panic: `;
const END = `${PREFIX}panic end`;
const ADDRESS = /^(hvkit: (?:return|rip) (?:0x)?)([0-9a-fA-F]{4,16})h?$/;

export interface PanicOptions {
  symbolize: Symbolizer;
  /** the report is complete, or the hypervisor stopped in the middle of it */
  onPanic: (lines: string[]) => void;
  /** milliseconds of silence that end a report without an end line */
  silenceMs?: number;
  /** lines that are kept of one report */
  maxLines?: number;
}

export class PanicReport {
  readonly #options: Required<PanicOptions>;
  #lines: string[] | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PanicOptions) {
    this.#options = { silenceMs: 1000, maxLines: 200, ...options };
  }

  /** A raw text line; gives back the line as it should be shown. */
  line(text: string): string {
    if (text.startsWith(START)) this.#lines ??= [];
    if (!this.#lines) return text;
    const shown = this.#symbolized(text);
    if (this.#lines.length < this.#options.maxLines) this.#lines.push(shown);
    clearTimeout(this.#timer);
    if (text.startsWith(END)) this.finish();
    else this.#timer = setTimeout(() => this.finish(), this.#options.silenceMs);
    return shown;
  }

  /** Hands on what there is: at the end line, after silence, or when the engine is gone. */
  finish(): void {
    clearTimeout(this.#timer);
    const lines = this.#lines;
    this.#lines = undefined;
    if (lines) this.#options.onPanic(lines);
  }

  #symbolized(text: string): string {
    const match = ADDRESS.exec(text);
    const name = match?.[2] ? this.#options.symbolize(BigInt(`0x${match[2]}`)) : undefined;
    return name === undefined ? text : `${text} ${name}`;
  }
}

/** What a report says in one line: its first line without the prefix. */
export const panicSummary = (lines: readonly string[]): string => (lines[0] ?? "").replace(START, "");
