// A core module with two more operations, for test/contract/entry.test.ts: a row of random states, each entered once, with the CPU's verdict and
// the checker's; and one of them in full. All else is the product's. Built by `npm run build -- --variant entry`.
import * as host from "../../hv/core/host";
import { drop, payloadAt, waiting } from "../../hv/core/inbox";
import { beginReply, sendReply, word } from "../../hv/core/message";
import { receive } from "../../hv/core/receive";
import { work } from "../../hv/core/work";
import { FAILURES, failures, get } from "../../hv/explain/state";
import { Link } from "../../protocol/link";
import { Status } from "../../protocol/messages";
import { checkState, enterState, fieldCount, makeState, restoreState } from "./states";

export { init } from "../../hv/core/main";

/** The numbers of test/contract/entry.test.ts. Arguments: slot, number of the first state, how many (or the first field), mark. */
const OP_STATES: u32 = 0xfffc;
const OP_STATE: u32 = 0xfffb;
/** Failures of a state that are told, at most. */
const TOLD: u32 = 4;
const FIELDS: u32 = 64;

export function poll(idle: u32): u32 {
  const now = host.clock();
  const unread = receive(now);
  for (let index: u32 = 0; index < waiting(); ) {
    if (mine(payloadAt(index))) drop(index);
    else index++;
  }
  return work(now, idle, unread);
}

function mine(at: usize): bool {
  const op = load<u32>(at, 4);
  if (op != OP_STATES && op != OP_STATE) return false;
  const args = at + Link.MessageHeaderBytes;
  const slot = <u32>load<u64>(args);
  const first = load<u64>(args, 8);
  const count = <u32>load<u64>(args, 16);
  const mark = <u32>load<u64>(args, 24);
  const id = load<u32>(at);
  beginReply();
  if (op == OP_STATES) for (let i: u32 = 0; i < count; i++) row(slot, first + i, mark == 0 ? 0 : mark + i);
  else {
    makeState(slot, first);
    for (let field = count; field < min(fieldCount(), count + FIELDS); field++) word(get(field));
  }
  restoreState(slot);
  sendReply(id, Status.Ok);
  return true;
}

/** The CPU's verdict and the number of failures; then failures, two a word. */
function row(slot: u32, number: u64, mark: u32): void {
  makeState(slot, number);
  checkState();
  const told = min(failures, TOLD);
  const verdict = enterState(slot, mark);
  word(verdict | ((<u64>failures) << 40));
  for (let i: u32 = 0; i < TOLD; i += 2) {
    const low: u64 = i < told ? load<u32>(FAILURES + i * 4) : 0;
    const high: u64 = i + 1 < told ? load<u32>(FAILURES + i * 4 + 4) : 0;
    word(low | (high << 32));
  }
}
