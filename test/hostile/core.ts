// A core module with three more operations, for tests: a trap, an endless loop, and every import called with bad arguments. All else
// is the product's. Built by `npm run build -- --variant hostile`; test/contract/isolation.test.ts asks for them.
import * as host from "../../hv/core/host";
import { drop, payloadAt, waiting } from "../../hv/core/inbox";
import { room } from "../../hv/core/link";
import * as product from "../../hv/core/main";
import { beginReply, sendReply, word } from "../../hv/core/message";
import { receive } from "../../hv/core/receive";
import { Status } from "../../protocol/messages";
import { badImports, firstGranted, granted, refused } from "./host";

export { init } from "../../hv/core/main";

/** The numbers of test/contract/attacks.ts. */
const OP_PANIC: u32 = 0xffff;
const OP_WILD_STORE: u32 = 0xfffe;
const OP_IMPORTS: u32 = 0xfffd;

export function poll(idle: u32): u32 {
  receive(host.clock());
  while (waiting() > 0 && room() > 0 && mine(load<u32>(payloadAt(0), 4))) drop(0);
  return product.poll(idle);
}

function mine(op: u32): bool {
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
      sendReply(load<u32>(payloadAt(0)), Status.Ok);
      return true;
    default:
      return false;
  }
}
