// ^C, SIGTERM and SIGHUP of this process, for whoever has something to end or to take back: the one place that listens for them. While nobody waits
// for a signal it ends the process, as if nobody had ever listened. A listener, once there, stays: Node forgets a signal that has come when the last
// listener for it leaves before the event loop's next turn, even if another one takes its place at once.

export type Told = (signal: NodeJS.Signals) => void;

/** By which a person or a system ends what runs. SIGHUP is not for all: `nohup` has what runs go on without its terminal. */
const ENDS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM"];
export const ENDS_AND_HANGUP: readonly NodeJS.Signals[] = [...ENDS, "SIGHUP"];

/** those that wait for a signal now, each of which is told */
const waiting = new Set<Interrupts>();

export class Interrupts {
  #told: Told;

  constructor(
    told: Told,
    readonly signals: readonly NodeJS.Signals[] = ENDS,
  ) {
    this.#told = told;
    waiting.add(this);
    for (const signal of signals) listen(signal);
  }

  /** From now on they are told to `told`, also those that have come and were not told yet. */
  tell(told: Told): void {
    this.#told = told;
  }

  take(signal: NodeJS.Signals): void {
    this.#told(signal);
  }

  /** It waits for none any more. */
  close(): void {
    waiting.delete(this);
  }
}

/** Is aborted by the first one; the second finds nobody waiting. */
export function interruption(signals?: readonly NodeJS.Signals[]): AbortSignal {
  const controller = new AbortController();
  const interrupts = new Interrupts(() => {
    interrupts.close();
    controller.abort();
  }, signals);
  return controller.signal;
}

function listen(signal: NodeJS.Signals): void {
  if (!process.listeners(signal).includes(take)) process.on(signal, take);
}

function take(signal: NodeJS.Signals): void {
  const told = [...waiting].filter(({ signals }) => signals.includes(signal));
  for (const each of told) each.take(signal);
  // A program that uses the library may have listeners of its own: then it is theirs.
  if (told.length > 0 || process.listenerCount(signal) > 1) return;
  process.off(signal, take);
  process.kill(process.pid, signal);
}
