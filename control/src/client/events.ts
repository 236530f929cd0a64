// The daemon's events as an async iterator: in order, without gaps. What a slow reader's queue has no room for is taken from what the
// daemon keeps; what that does not keep any more is told as `events.lost`.
//
//   for await (const event of events(client, { signal })) if (event.type === "guest.ended") ...
import type { HvkitEvent } from "../api/events.js";
import { HvkitError } from "../errors.js";
import type { Client } from "./client.js";

export interface EventOptions {
  /** number of the first event: 0 for all that are kept; by default what comes from now on */
  from?: number;
  /** false: ends with what is there now */
  follow?: boolean;
  /** ends it, with the signal's reason as an error */
  signal?: AbortSignal;
}

const MAX_QUEUED = 1000;

/** How many of a connection want events: the last one ends the subscription. */
const readers = new WeakMap<Client, number>();

/** From now on the client is told of events, until as many leaveEvents(). */
export function keepEvents(client: Client): Promise<{ next: number }> {
  readers.set(client, (readers.get(client) ?? 0) + 1);
  return client.call("events.subscribe", {});
}

export function leaveEvents(client: Client): void {
  const left = (readers.get(client) ?? 1) - 1;
  readers.set(client, left);
  if (left === 0) client.call("events.unsubscribe", {}).catch(() => {}); // it may be gone
}

export async function* events(client: Client, { from, follow = true, signal }: EventOptions = {}): AsyncGenerator<HvkitEvent, void, void> {
  signal?.throwIfAborted();
  const queue: HvkitEvent[] = [];
  let wake = (): void => {};
  let closed: string | undefined;
  /** number of the event after the last one that was heard of */
  let end = 0;
  const onEvent = (event: HvkitEvent): void => {
    end = event.seq + 1;
    if (queue.length < MAX_QUEUED) queue.push(event);
    wake();
  };
  const onClose = (reason: string): void => {
    closed = reason;
    wake();
  };
  const onAbort = (): void => wake();
  client.on("event", onEvent);
  client.on("close", onClose);
  signal?.addEventListener("abort", onAbort);
  const subscribing = keepEvents(client);
  try {
    const subscribed = await subscribing;
    end = Math.max(end, subscribed.next);
    const last = subscribed.next;
    for (let next = from ?? subscribed.next; follow || next < last; ) {
      signal?.throwIfAborted();
      const [head] = queue;
      if (head && head.seq <= next) {
        queue.shift();
        if (head.seq === next) yield head;
        next = Math.max(next, head.seq + 1);
      } else if (next < end) {
        const part = await client.call("events", { from: next });
        for (const event of part.events) {
          signal?.throwIfAborted();
          yield event;
        }
        next = Math.max(next, part.next);
      } else if (closed !== undefined) {
        throw new HvkitError("E_DAEMON_LOST", `the daemon went away: ${closed}`, { hint: "`hvkit status` says whether it runs." });
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    client.off("event", onEvent);
    client.off("close", onClose);
    signal?.removeEventListener("abort", onAbort);
    leaveEvents(client);
  }
}
