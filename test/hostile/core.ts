// A core module with three more operations, for tests: a trap, an endless loop, and every import called with bad arguments. All else
// is the product's. Built by `npm run build -- --variant hostile`; test/contract/isolation.test.ts asks for them.
import * as host from "../../hv/core/host";
import { drop, payloadAt, waiting } from "../../hv/core/inbox";
import { beginReply, sendReply, word } from "../../hv/core/message";
import { receive } from "../../hv/core/receive";
import { work } from "../../hv/core/work";
import { Status } from "../../protocol/messages";
import { badImports, firstGranted, granted, refused } from "./host";

export { init } from "../../hv/core/main";

/** The numbers of test/contract/attacks.ts. */
const OP_PANIC: u32 = 0xffff;
const OP_WILD_STORE: u32 = 0xfffe;
const OP_IMPORTS: u32 = 0xfffd;

/** Nothing comes in between the look for these operations and the product's own: it would not know them. */
export function poll(idle: u32): u32 {
  const now = host.clock();
  const unread = receive(now);
  for (let index: u32 = 0; index < waiting(); ) {
    if (mine(load<u32>(payloadAt(index), 4), load<u32>(payloadAt(index)))) drop(index);
    else index++;
  }
  return work(now, idle, unread);
}

function mine(op: u32, id: u32): bool {
  switch (op) {
    case OP_PANIC:
      unreachable();
      return true;
    case OP_WILD_STORE:
      store<u64>(0xfffffff0, 0);
      return true;
    case OP_IMPORTS:
      badImports();
      beginReply();
      word(refused);
      word(granted);
      word(firstGranted);
      sendReply(id, Status.Ok);
      return true;
    default:
      return false;
  }
}
