// What a tool that looks inside is told to look at: a guest of the hypervisor, or one in a snapshot's file. The tools see a
// view, whichever it is. For a file no daemon is asked.
import { isAbsolute } from "node:path";
import type { GuestDetail, SubjectState } from "../api/schemas.js";
import type { Client } from "../client/client.js";
import { HvkitError } from "../errors.js";
import type { MachineView } from "../inspect/view.js";
import type { SavedGuest } from "../offline/savedguest.js";
import { ProgressBar } from "./progress.js";
import { withClient } from "./session.js";
import { callOrLook, isSnapshot, snapshotReference } from "./snapshots.js";

export interface Subject {
  readonly view: MachineView;
  readonly id: string;
  readonly name: string;
  readonly state: SubjectState;
  /** it waits in HLT */
  readonly idle: boolean;
  /** undefined: it is in a file */
  readonly live: { client: Client; detail: GuestDetail } | undefined;
  /** undefined: the hypervisor has it */
  readonly file: { saved: SavedGuest; path: string } | undefined;
}

export type SavedSubject = Subject & { readonly file: { saved: SavedGuest; path: string } };

/** For the help of the commands that take either. */
export const SUBJECT = "a guest's name or id, or a snapshot: ./web.hvsnap, snapshot:NAME";

/** Its guest is in a file, and no daemon need be asked. */
export const isSaved = (reference: string): boolean => isSnapshot(reference) || opened?.reference === reference;

let opened: { reference: string; subject: () => Promise<SavedSubject> } | undefined;

/** While `use` runs, `reference` stands for what `hvkit open` has opened. */
export async function withOpened<T>(reference: string, subject: () => Promise<SavedSubject>, use: () => Promise<T>): Promise<T> {
  opened = { reference, subject };
  try {
    return await use();
  } finally {
    opened = undefined;
  }
}

export async function withSubject<T>(reference: string, use: (subject: Subject) => Promise<T>): Promise<T> {
  return isSaved(reference) ? withSavedSubject(reference, use) : withGuest(reference, use);
}

/** @param reference one that isSaved() takes */
export async function withSavedSubject<T>(reference: string, use: (subject: SavedSubject) => Promise<T>): Promise<T> {
  if (opened?.reference === reference) return use(await opened.subject());
  return withSaved(reference, (saved, path) => use(savedSubject(saved, path)));
}

export async function withSaved<T>(reference: string, use: (saved: SavedGuest, path: string) => Promise<T>): Promise<T> {
  const [{ SavedGuest }, { SnapshotStore }, { ofFile }] = await Promise.all([
    import("../offline/savedguest.js"),
    import("../snapshot/store.js"),
    import("../snapshot/errors.js"),
  ]);
  const { source, path, close } = await new SnapshotStore().open(await pathOf(reference));
  const progress = new ProgressBar();
  try {
    const reading = SavedGuest.read(source, (done, total) => progress.show({ stage: "check", done, total }));
    const saved = await ofFile(path, reading);
    progress.clear();
    return await use(saved, path);
  } finally {
    progress.clear();
    await close();
  }
}

export function savedSubject(saved: SavedGuest, path: string): SavedSubject {
  const { header, snapshot } = saved;
  const { id } = header.guest;
  return { view: saved, id, name: saved.name, state: "saved", idle: snapshot.entry.halted, live: undefined, file: { saved, path } };
}

/** Refuses a snapshot where only a guest of the hypervisor has what is asked for. */
export function requireGuest(reference: string, lacks: string, hint = `\`hvkit run --from ${reference}\` makes a guest of it.`): void {
  if (!isSaved(reference)) return;
  throw new HvkitError("E_NOT_LIVE", `'${reference}' is a snapshot, which has no ${lacks}`, { hint, data: { snapshot: reference } });
}

async function withGuest<T>(reference: string, use: (subject: Subject) => Promise<T>): Promise<T> {
  const { liveView } = await import("../client/liveview.js");
  return withClient(async (client) => {
    const view = await liveView(client, reference);
    const { detail } = view;
    return use({
      view,
      id: detail.id,
      name: detail.name,
      state: detail.state,
      idle: detail.idle,
      live: { client, detail },
      file: undefined,
    });
  });
}

/** Of a name in the store, where the daemon has it, or this user when none is up. */
async function pathOf(reference: string): Promise<string> {
  const snapshot = snapshotReference(reference);
  if (isAbsolute(snapshot)) return snapshot;
  const { path } = await callOrLook("snapshot.inspect", { snapshot }, async (store) =>
    (await import("../snapshot/info.js")).inspectSnapshot(store, snapshot),
  );
  return path;
}
