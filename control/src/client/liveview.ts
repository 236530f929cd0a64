// A guest that the hypervisor has, as a MachineView: each part is asked for over the client when it is needed.
import { MAX_CHUNK } from "../api/methods.js";
import { checkRange } from "../api/range.js";
import type { GuestDetail } from "../api/schemas.js";
import type { Field, MachineState, MachineView, Records, Registers } from "../inspect/view.js";
import type { PhysicalMemory } from "../inspect/walk.js";
import type { Client } from "./client.js";

/** reads under way at once: one is on its way while another is copied */
const LANES = 4;

/** Throws E_NO_GUEST; what the hypervisor has no more, the reading itself refuses. */
export async function liveView(client: Client, guest: string): Promise<MachineView & { detail: GuestDetail }> {
  const detail = await client.call("inspect", { guest });
  const { id, name, memoryBytes } = detail;
  const memory: PhysicalMemory = {
    bytes: memoryBytes,
    read: async (address, length) => {
      checkRange(detail, address, length);
      const found = Buffer.alloc(length);
      const read = async (at: number): Promise<void> => {
        const part = await client.call("mem", { guest: id, address: address + at, length: Math.min(MAX_CHUNK, length - at) });
        found.set(Buffer.from(part.data, "base64"), at);
      };
      for (let done = 0; done < length; done += LANES * MAX_CHUNK) {
        const starts = Array.from({ length: LANES }, (_, lane) => done + lane * MAX_CHUNK).filter((at) => at < length);
        await Promise.all(starts.map(read));
      }
      return found;
    },
  };
  return {
    name,
    memory,
    detail,
    registers: async (): Promise<Registers> => {
      const { registers } = await client.call("regs", { guest: id });
      return Object.fromEntries(Object.entries(registers).map(([register, value]) => [register, BigInt(value)]));
    },
    machine: async (): Promise<MachineState> => {
      const { clockNs, halted, inject, events, inputBytes, records } = await client.call("machine", { guest: id });
      return { records: fromTexts(records), clockNs: BigInt(clockNs), halted, inject: BigInt(inject), events, inputBytes };
    },
  };
}

function fromTexts(records: Record<string, Record<string, string | string[]>>): Records {
  const fields = (texts: Record<string, string | string[]>): Record<string, Field> =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, typeof text === "string" ? BigInt(text) : text.map(BigInt)]));
  return Object.fromEntries(Object.entries(records).map(([record, texts]) => [record, fields(texts)]));
}
