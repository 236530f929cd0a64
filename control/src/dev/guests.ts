// The guests that `hvkit dev` starts again: those that the daemon has, with the options that they were run with, and their consoles.
import type { Launch } from "../api/schemas.js";
import type { Client } from "../client/client.js";
import { Console } from "../client/console.js";

export interface Remembered {
  name: string;
  /** null: it was made from a snapshot, which a new build may not be able to go on from */
  launch: Launch | null;
}

/** Those that ended, too: `hvkit rm` takes one out. */
export async function remember(client: Client): Promise<Remembered[]> {
  const guests = await client.call("ps", {});
  return Promise.all(guests.map(async ({ id, name }) => ({ name, launch: (await client.call("inspect", { guest: id })).launch })));
}

/** Gives what the guest's console writes from now on, or all of it, in whole lines where it writes lines. */
export async function watchConsole(client: Client, guest: string, all: boolean, onText: (text: string) => void): Promise<Console> {
  let rest = "";
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    if (rest !== "") onText(rest);
    rest = "";
  };
  const console = await Console.open(client, guest, {
    ...(all ? {} : { tail: 0 }),
    onBytes: (bytes) => {
      clearTimeout(timer);
      const lines = (rest + Buffer.from(bytes).toString("utf8")).replaceAll("\r", "").split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onText(line);
      timer = setTimeout(flush, PROMPT_MS);
    },
  });
  void console.ended.finally(() => {
    clearTimeout(timer);
    flush();
  });
  return console;
}

/** after which a line without an end is shown */
const PROMPT_MS = 300;
