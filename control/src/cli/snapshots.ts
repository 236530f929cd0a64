// What the commands about snapshots share: how a file is told from a name, and that what needs no hypervisor works without one.
import { resolve } from "node:path";
import type { MethodName, Params, Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import type { SnapshotStore } from "../snapshot/store.js";
import { call } from "./session.js";

/** A name in the store; no guest's name has a colon. */
const STORED = "snapshot:";
const SUFFIX = ".hvsnap";

const isPath = (text: string): boolean => !text.startsWith(STORED) && (text.includes("/") || text.endsWith(SUFFIX));

/** Where a guest may stand, too: what is no guest's name. */
export const isSnapshot = (text: string): boolean => text.startsWith(STORED) || isPath(text);

/** Where a snapshot stands in any case: its name in the store, or a file's absolute path. */
export function snapshotReference(text: string): string {
  if (isPath(text)) return resolve(text);
  return text.startsWith(STORED) ? text.slice(STORED.length) : text;
}

/** By the daemon, in whose folder the snapshots are; without one, from this user's folder. */
export async function callOrLook<M extends MethodName>(
  method: M,
  params: Params<M>,
  look: (store: SnapshotStore, notUp: HvkitError) => Promise<Result<M>>,
): Promise<Result<M>> {
  try {
    return await call(method, params);
  } catch (error) {
    if (!(error instanceof HvkitError) || error.code !== "E_NOT_UP") throw error;
    const { SnapshotStore } = await import("../snapshot/store.js");
    return look(new SnapshotStore(), error);
  }
}
