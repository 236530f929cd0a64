// What `hvkit debug` gives to gdb: a guest of the hypervisor, or one in a snapshot's file. commands/debug.ts serves either.
import type { GuestDetail } from "../api/schemas.js";
import type { Client } from "../client/client.js";
import type { Monitor } from "../debug/stub.js";
import type { Symbols } from "../debug/symbols.js";
import type { Target } from "../debug/target.js";
import { HvkitError } from "../errors.js";
import { interruption } from "../interrupts.js";
import { guestMonitor, savedMonitor } from "./monitor.js";
import { note } from "./output.js";
import type { SavedSubject } from "./subject.js";

export interface Debuggee {
  name: string;
  id: string;
  symbols: Symbols | undefined;
  /** it stands, for one gdb */
  attach: () => Promise<Target>;
  monitor: Monitor;
  kill: () => Promise<void>;
  /** Resolves when it is gone for good (true), or by ^C. */
  gone: () => Promise<boolean>;
}

/** --symbols FILE, none of the two options, or --no-symbols. */
export type SymbolsWish = string | true | false;

export async function liveDebuggee(client: Client, guest: string, wish: SymbolsWish): Promise<Debuggee> {
  const found = await client.call("inspect", { guest });
  const { RpcTarget } = await import("../client/rpctarget.js");
  const { Client } = await import("../client/client.js");
  return {
    name: found.name,
    id: found.id,
    symbols: await symbolsFor(wish, found, async () => BigInt((await client.call("regs", { guest })).registers.lstar ?? "0x0")),
    // A connection of its own is what the daemon knows a debugger by.
    attach: async () => RpcTarget.attach(await Client.connect(), found.id),
    monitor: guestMonitor(client, found.id),
    kill: async () => void (await client.call("kill", { guest: found.id })),
    gone: () => removed(client, found.id),
  };
}

/** It stands where it was saved, and does not go on. */
export async function savedDebuggee({ file, name, id }: SavedSubject, reference: string, wish: SymbolsWish): Promise<Debuggee> {
  const { saved } = file;
  const { image } = saved.header;
  const { SavedTarget } = await import("../offline/target.js");
  const guest = { ...image, image: image.name, launch: { image: image.reference } };
  return {
    name,
    id,
    symbols: await symbolsFor(wish, guest, async () => saved.snapshot.registers.lstar ?? 0n),
    attach: async () => new SavedTarget(saved, reference),
    monitor: savedMonitor(saved),
    kill: async () => {}, // gdb's session ends, and the file stays
    gone: () => interrupted(),
  };
}

async function symbolsFor(
  wish: SymbolsWish,
  guest: Pick<GuestDetail, "image" | "kind" | "append"> & { launch: { image: string } | null },
  lstar: () => Promise<bigint>,
): Promise<Symbols | undefined> {
  if (typeof wish === "string") return { file: wish, offset: 0n };
  if (!wish) return undefined;
  const { symbolsOf } = await import("../debug/symbols.js");
  return symbolsOf(guest, lstar, note);
}

/** A daemon that goes away is an error. */
async function removed(client: Client, id: string): Promise<boolean> {
  const gone = new Promise<boolean>((resolve, reject) => {
    client.on("event", (event) => {
      if (event.type === "guest.removed" && event.guest.id === id) resolve(true);
    });
    client.once("close", (reason) =>
      reject(new HvkitError("E_DAEMON_LOST", `the daemon went away: ${reason}`, { hint: "`hvkit status` says whether it runs." })),
    );
  });
  await client.call("events.subscribe", {});
  return Promise.race([gone, interrupted()]);
}

function interrupted(): Promise<false> {
  return new Promise((resolve) => interruption().addEventListener("abort", () => resolve(false)));
}
