// A command's connection to the daemon, made when it is needed: commands that print help or fail on their arguments load nothing.

import type { MethodName, Params, Result } from "../api/methods.js";
import type { Client } from "../client/client.js";

export async function connect(): Promise<Client> {
  const { Client } = await import("../client/client.js");
  return Client.connect();
}

export async function withClient<T>(use: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect();
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** One call, on a connection of its own. */
export function call<M extends MethodName>(method: M, params: Params<M>): Promise<Result<M>> {
  return withClient((client) => client.call(method, params));
}

/** On a connection of its own: the one that made it is closed. */
export async function removeGuest({ id }: { id: string }): Promise<void> {
  await call("rm", { guest: id, force: true });
}
