// A bar for what takes long: how much, how fast, and how long it will take. On a terminal only; `progress` notifications of the daemon
// feed it, or a command's own copying.
import { showSize } from "../api/size.js";
import type { Client } from "../client/client.js";
import { HvkitError } from "../errors.js";
import { ENDS_AND_HANGUP, Interrupts } from "../interrupts.js";
import { ProgressLine } from "./output.js";

const WIDTH = 24;

export interface Progress {
  stage: string;
  done: number;
  total: number;
  /** bytes, if it is left out */
  unit?: "guests";
}

/** Of one stage after the other; rate and time left are those of the stage. */
export class ProgressBar {
  readonly #line = new ProgressLine();
  #stage = "";
  #begun = 0;

  constructor(private readonly now = () => performance.now()) {}

  show(progress: Progress): void {
    if (progress.stage !== this.#stage) this.#begun = this.now();
    this.#stage = progress.stage;
    this.#line.show(showProgress(progress, this.now() - this.#begun));
  }

  say(text: string): void {
    this.#line.show(text);
  }

  clear(): void {
    this.#line.clear();
  }
}

interface ProgressOptions<T> {
  /** the daemon goes on with it after ^C, and that is said; else it takes back what it began */
  goesOn?: string;
  /** takes back what was done already when ^C came */
  undo?: (result: T) => Promise<unknown>;
}

const TAKEN_BACK = "What it had begun is taken back.";
const UNDER_WAY = "What it had begun is being taken back: `hvkit ps` shows what is left of it.";

/** The bar stands until the request is over. ^C breaks it off: the daemon takes back what it began, which is waited for until a second ^C. An answer
 *  that was on its way already still comes. */
export async function withProgress<T>(
  client: Client,
  what: string,
  request: () => Promise<T>,
  { goesOn, undo }: ProgressOptions<T> = {},
): Promise<T> {
  const bar = new ProgressBar();
  const onProgress = (progress: Progress): void => bar.show(progress);
  const brokenOff = (hint: string): HvkitError => new HvkitError("E_INTERRUPTED", `${what} was broken off`, { hint });
  let interrupt = (): void => {};
  const interrupted = new Promise<never>((_resolve, reject) => {
    interrupt = () => reject(brokenOff(goesOn ?? TAKEN_BACK));
  });
  interrupted.catch(() => {}); // it may come too late for anyone
  const interrupts = new Interrupts(interrupt, ENDS_AND_HANGUP);
  client.on("progress", onProgress);
  const answer = request();
  try {
    const result = await Promise.race([answer, interrupted]);
    await turns();
    return await Promise.race([interrupted, result]);
  } catch (error) {
    if (!(error instanceof HvkitError && error.code === "E_INTERRUPTED")) throw error;
    const settled = answer.then(
      () => true,
      () => true,
    );
    let left = goesOn !== undefined;
    if (!left) {
      client.off("progress", onProgress);
      bar.say("taking back what it had begun; ^C does not wait for that");
      const again = new Promise<false>((resolve) => interrupts.tell(() => resolve(false)));
      client.call("cancel", {}).catch(() => {}); // a connection that is lost cancels, too
      left = !(await Promise.race([settled, again]));
    }
    await client.close();
    const done = await answer.then(
      (result) => ({ result }),
      () => undefined,
    );
    if (done && !undo) return done.result; // it came too late
    if (done) await undo?.(done.result);
    throw left && goesOn === undefined ? brokenOff(UNDER_WAY) : error;
  } finally {
    client.off("progress", onProgress);
    interrupts.close();
    bar.clear();
  }
}

/** A signal that has come is told after one whole turn of the event loop at the latest. */
async function turns(): Promise<void> {
  for (let count = 0; count < 2; count++) await new Promise((resolve) => setImmediate(resolve));
}

/** "save     [=========               ] 96 MiB of 256 MiB, 310 MiB/s, 1 s left" */
export function showProgress({ stage, done, total, unit }: Progress, ms: number): string {
  const show = unit === undefined ? showSize : (count: number): string => String(Math.round(count));
  const of = unit === undefined ? "" : ` ${unit}`;
  const filled = total === 0 ? WIDTH : Math.floor((done / total) * WIDTH);
  const bar = "=".repeat(filled).padEnd(WIDTH);
  const rate = ms > 0 && done > 0 ? `, ${show((done / ms) * 1000)}/s` : "";
  const left = rate !== "" && done < total ? `, ${showDuration((ms / done) * (total - done))} left` : "";
  return `${stage.padEnd(8)} [${bar}] ${show(done)} of ${show(total)}${of}${rate}${left}`;
}

/** "5 s", "3 min 20 s", "2 h 5 min" */
function showDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
