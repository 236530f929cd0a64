// What the commands about snapshots share: how a file is told from a name, and that what needs no hypervisor works without one.
import { resolve } from "node:path";
import type { MethodName, Params, Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import type { SnapshotStore } from "../snapshot/store.js";
import { call } from "./session.js";

/** A name, or a file's absolute path: what has a slash is a path. */
export function snapshotReference(text: string): string {
  return text.includes("/") ? resolve(text) : text;
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
