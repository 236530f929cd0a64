// A guest's control block out of the hypervisor, in as many parts as the line needs; and a failed check, which comes as one number.
import { GuestExplainArgs, GuestExplainReply, Op } from "../../../protocol/messages.js";
import { Failure } from "../../../protocol/rules.js";
import { HvkitError } from "../errors.js";
import type { Message } from "./codec.js";

/** Others may ask for control blocks meanwhile, each reading of which ends the one before. */
const TRIES = 16;
/** more than any vendor has */
const MOST_FIELDS = 1024;

interface Requests {
  request(op: Op, words: readonly number[]): Promise<Message>;
}

export async function readControlBlock(requests: Requests, guest: number): Promise<bigint[]> {
  for (let turn = 0; turn < TRIES; turn++) {
    const values = await readOnce(requests, guest);
    if (values) return values;
  }
  throw new HvkitError("E_LINK_MESSAGE", "The hypervisor did not send a control block in one piece.");
}

/** Undefined: another reading came in between. */
async function readOnce(requests: Requests, guest: number): Promise<bigint[] | undefined> {
  const values: bigint[] = [];
  let reading: bigint | undefined;
  for (;;) {
    const words: number[] = [];
    words[GuestExplainArgs.Guest] = guest;
    words[GuestExplainArgs.First] = values.length;
    const reply = await requests.request(Op.GuestExplain, words);
    reading ??= reply.word(GuestExplainReply.Reading);
    if (reply.word(GuestExplainReply.Reading) !== reading) return undefined;
    const count = reply.number(GuestExplainReply.Fields);
    const part = reply.words().slice(GuestExplainReply.Words);
    values.push(...part);
    if (values.length === count) return values;
    if (part.length === 0 || count > MOST_FIELDS || values.length > count) {
      throw new HvkitError("E_LINK_MESSAGE", `The hypervisor sent ${values.length} fields of a control block that has ${count}.`);
    }
  }
}

/** A rule and its field; undefined for 0. */
export function failedOf(failure: number): { rule: number; field: number } | undefined {
  if (failure === 0) return undefined;
  return { rule: failure & ((1 << Failure.FieldShift) - 1), field: failure >>> Failure.FieldShift };
}
