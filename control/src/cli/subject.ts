// What a tool that looks inside is told to look at: a guest of the hypervisor, or one in a snapshot's file. Here alone a word is taken for one or
// the other; the tools see a view, whichever it is. For a file no daemon is asked.
import { resolve } from "node:path";
import type { GuestDetail, SubjectState } from "../api/schemas.js";
import type { Client } from "../client/client.js";
import { HvkitError } from "../errors.js";
import type { MachineView } from "../inspect/view.js";
import type { SavedGuest } from "../offline/savedguest.js";
import { ProgressBar } from "./progress.js";
import { withClient } from "./session.js";
import { callOrLook } from "./snapshots.js";

export interface Subject {
  readonly view: MachineView;
  readonly id: string;
  readonly name: string;
  readonly state: SubjectState;
  /** it waits in HLT */
  readonly idle: boolean;
  /** undefined: it is in a file */
  readonly live: { client: Client; detail: GuestDetail } | undefined;
}

/** A name in the store; no guest's name has a colon. */
const STORED = "snapshot:";
const SUFFIX = ".hvsnap";

/** For the help of the commands that take either. */
export const SUBJECT = "a guest's name or id, or a snapshot: ./web.hvsnap, snapshot:NAME";

/** A path has a slash or a snapshot's ending. */
export function isSnapshot(reference: string): boolean {
  return reference.startsWith(STORED) || reference.includes("/") || reference.endsWith(SUFFIX);
}

let opened: { reference: string; subject: () => Promise<Subject> } | undefined;

/** While `use` runs, `reference` stands for what `hvkit open` has opened. */
export async function withOpened<T>(reference: string, subject: () => Promise<Subject>, use: () => Promise<T>): Promise<T> {
  opened = { reference, subject };
  try {
    return await use();
  } finally {
    opened = undefined;
  }
}

export async function withSubject<T>(reference: string, use: (subject: Subject) => Promise<T>): Promise<T> {
  if (opened?.reference === reference) return use(await opened.subject());
  return isSnapshot(reference) ? withSaved(reference, (saved) => use(savedSubject(saved))) : withGuest(reference, use);
}

export async function withSaved<T>(reference: string, use: (saved: SavedGuest, path: string) => Promise<T>): Promise<T> {
  const [{ SavedGuest }, { SnapshotStore }] = await Promise.all([import("../offline/savedguest.js"), import("../snapshot/store.js")]);
  const { source, path, close } = await new SnapshotStore().open(await pathOf(reference));
  const progress = new ProgressBar();
  try {
    const saved = await SavedGuest.read(source, (done, total) => progress.show({ stage: "check", done, total }));
    progress.clear();
    return await use(saved, path);
  } finally {
    progress.clear();
    await close();
  }
}

export function savedSubject(saved: SavedGuest): Subject {
  const { header, snapshot } = saved;
  return { view: saved, id: header.guest.id, name: saved.name, state: "saved", idle: snapshot.entry.halted, live: undefined };
}

/** Refuses a snapshot where only a guest of the hypervisor has what is asked for. */
export function requireGuest(reference: string, lacks: string, hint = "`hvkit restore` makes a guest of it."): void {
  if (!isSnapshot(reference) && opened?.reference !== reference) return;
  throw new HvkitError("E_NOT_LIVE", `'${reference}' is a snapshot, which has no ${lacks}`, { hint, data: { snapshot: reference } });
}

async function withGuest<T>(reference: string, use: (subject: Subject) => Promise<T>): Promise<T> {
  const { liveView } = await import("../client/liveview.js");
  return withClient(async (client) => {
    const view = await liveView(client, reference);
    const { detail } = view;
    return use({ view, id: detail.id, name: detail.name, state: detail.state, idle: detail.idle, live: { client, detail } });
  });
}

/** Of a name in the store, where the daemon has it, or this user when none is up. */
async function pathOf(reference: string): Promise<string> {
  if (!reference.startsWith(STORED)) return resolve(reference);
  const snapshot = reference.slice(STORED.length);
  const { path } = await callOrLook("snapshot.inspect", { snapshot }, async (store) =>
    (await import("../snapshot/info.js")).inspectSnapshot(store, snapshot),
  );
  return path;
}
