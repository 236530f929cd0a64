// AbortSignal for whatever waits: who aborts hears of it at once, with the signal's own reason.

export interface Abortable {
  signal?: AbortSignal | undefined;
}

/** The promise's result, or the signal's reason as soon as it is aborted; the promise goes on, for nobody. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  promise.catch(() => {}); // after an abort nobody waits for it
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
