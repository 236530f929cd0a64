// A guest in a snapshot's file, as the tools that look inside see one (inspect/view.ts): by the file's own layout table and names of registers,
// so that it need not be of this build. No hypervisor and no daemon is asked.

import { readRecords } from "../inspect/records.js";
import type { MachineState, MachineView, Registers } from "../inspect/view.js";
import type { SnapshotHeader } from "../snapshot/format.js";
import { checkLayout } from "../snapshot/migrate.js";
import { type Progress, readSnapshot, type Snapshot, type Source } from "../snapshot/reader.js";
import { SavedRam } from "./ram.js";

export class SavedGuest implements MachineView {
  private constructor(
    readonly snapshot: Snapshot,
    readonly memory: SavedRam,
  ) {}

  /** All of the file is checked first. @param source stays open as long as this is used */
  static async read(source: Source, progress?: Progress): Promise<SavedGuest> {
    const snapshot = await readSnapshot(source, progress);
    checkLayout(snapshot);
    return new SavedGuest(snapshot, await SavedRam.of(source, snapshot));
  }

  get header(): SnapshotHeader {
    return this.snapshot.header;
  }

  get name(): string {
    return this.header.guest.name;
  }

  async registers(): Promise<Registers> {
    return this.snapshot.registers;
  }

  async machine(): Promise<MachineState> {
    const { layout, region, entry, consoleInput } = this.snapshot;
    const { clockNs, halted, inject, events } = entry;
    const inputBytes = [consoleInput[0].length, consoleInput[1].length] as const;
    return { records: readRecords(layout, region), clockNs, halted, inject, events, inputBytes };
  }
}
