// The devices' state as the tools see it, of a board whose devices are the product's own.

import { type Machine, machineOf } from "../../../../control/src/inspect/devices/machine.js";
import { readRecords } from "../../../../control/src/inspect/records.js";
import type { MachineState } from "../../../../control/src/inspect/view.js";
import { layoutSchema } from "../../../../control/src/snapshot/format.js";
import { Layout } from "../../../../hv/machine/layout.js";
import { layout, region } from "../../../../scripts/lib/layout.mjs";
import type { Board } from "../../machine/devices/board.js";

const table = layoutSchema.parse({ identity: "0123456789abcdef", region: region(), records: layout() });

export function machineStateOf(board: Board, change: Partial<MachineState> = {}): MachineState {
  const bytes = new Uint8Array(board.devices.memory.buffer, Layout.Region, Layout.RegionEnd - Layout.Region);
  return { records: readRecords(table, bytes), clockNs: board.clock, halted: false, inject: 0n, events: 0, inputBytes: [0, 0], ...change };
}

export const machineOn = (board: Board, change?: Partial<MachineState>): Machine => machineOf(machineStateOf(board, change));
