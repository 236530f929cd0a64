// A snapshot whose devices are the product's own: a board's state region, with this build's layout table, as a file.

import { projectRoot } from "../../../control/src/api/root.js";
import type { SavedState } from "../../../control/src/hypervisor/saved.js";
import { SavedGuest } from "../../../control/src/offline/savedguest.js";
import type { SnapshotHeader } from "../../../control/src/snapshot/format.js";
import { readLayout } from "../../../control/src/snapshot/layout.js";
import { regionBytes } from "../../../control/src/snapshot/moves.js";
import { Layout } from "../../../hv/machine/layout.js";
import { CpuModel } from "../../../protocol/messages.js";
import { Register } from "../../../protocol/state.js";
import type { Board } from "../machine/devices/board.js";
import { place } from "../machine/devices/board.js";
import { MIB, sampleFile, sampleHeader, sampleState, sourceOf } from "../snapshot/sample.js";

export const layout = readLayout(projectRoot());

export interface Change {
  state?: Partial<SavedState>;
  registers?: Partial<Record<Register, bigint>>;
  ram?: Buffer;
  header?: Partial<SnapshotHeader>;
}

/** The file of a snapshot of that board. */
export function fileOf(
  board: Board,
  { state = {}, registers = {}, ram = Buffer.alloc(2 * MIB), header = {} }: Change = {},
): Promise<Buffer> {
  const memory = new Uint8Array(board.devices.memory.buffer);
  memory[place("machine", "cpuModel").address] = CpuModel.Portable;
  const values = new Array<bigint>(Register.Count).fill(0n);
  for (const [register, value] of Object.entries(registers)) values[Number(register)] = value;
  const saved: SavedState = {
    ...sampleState(),
    registers: values,
    inject: 0n,
    injectLength: 0,
    halted: false,
    events: 0,
    clockNs: board.clock,
    region: memory.slice(Layout.Region, Layout.Region + regionBytes(layout)),
    consoleInput: [Buffer.alloc(0), Buffer.alloc(0)],
    ...state,
  };
  const head = { ...sampleHeader(ram.length), layout: layout.identity, ...header };
  return sampleFile({ header: head, state: saved, layout, ram });
}

export async function savedOf(board: Board, change?: Change): Promise<SavedGuest> {
  return SavedGuest.read(sourceOf(await fileOf(board, change)));
}
