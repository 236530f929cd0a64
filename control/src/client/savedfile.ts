// A snapshot's file for programs, without a hypervisor: what is read of a guest, and its machine to be driven by hand. docs/library.md shows it.
import { resolve } from "node:path";
import { projectRoot } from "../api/root.js";
import { OfflineMachine } from "../offline/machine.js";
import { SavedGuest } from "../offline/savedguest.js";
import { ofFile } from "../snapshot/errors.js";
import type { SnapshotHeader } from "../snapshot/format.js";
import { readLayout } from "../snapshot/layout.js";
import { type OpenSnapshot, SnapshotStore } from "../snapshot/store.js";
import { Viewed } from "./viewed.js";

/** All of the file is checked first. @param reference a path with a slash, or a name in this user's store */
export async function openSnapshot(reference: string): Promise<SavedFile> {
  const opened = await new SnapshotStore().open(reference.includes("/") ? resolve(reference) : reference);
  try {
    return new SavedFile(opened, await ofFile(opened.path, SavedGuest.read(opened.source)));
  } catch (error) {
    await opened.close();
    throw error;
  }
}

export class SavedFile extends Viewed implements AsyncDisposable {
  constructor(
    private readonly opened: OpenSnapshot,
    private readonly saved: SavedGuest,
  ) {
    super();
  }

  get path(): string {
    return this.opened.path;
  }
  /** guest, image, engine, CPU, when: docs/snapshot.md */
  get header(): SnapshotHeader {
    return this.saved.header;
  }

  override async view(): Promise<SavedGuest> {
    return this.saved;
  }

  /** The machine, to be driven by hand. What it writes to RAM is seen by what is read here, and not by the file. */
  machine(): OfflineMachine {
    return OfflineMachine.of(this.saved, readLayout(projectRoot()));
  }

  close(): Promise<void> {
    return this.opened.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
