// The line's figures: the link between two ends of this process over a wire with bit errors, and a guest's console as fast as it comes.
import { Link } from "../../../build/js/control/src/link/link.js";
import { bitErrors } from "../../../build/js/control/src/transport/faults.js";
import { MockTransport } from "../../../build/js/control/src/transport/mock.js";
import { Channel, Link as Limit } from "../../../build/js/protocol/link.js";

const MIB = 2 ** 20;
const LANES = 32;
const CONSOLE_MS = 3000;

/** Bytes of messages that arrive in a second, both ends with the settings that the product has. */
async function goodput(rate, bytes) {
  const [left, right] = MockTransport.pair(bitErrors(1, rate), bitErrors(2, rate));
  const [from, to] = [new Link(left), new Link(right)];
  await Promise.all([from.open(), to.open()]);
  let arrived = 0;
  to.on("message", (_, payload) => {
    arrived += payload.length;
  });
  const payload = Buffer.alloc(Limit.MaxPayload, 0x5a);
  const start = performance.now();
  const lane = async () => {
    while (arrived < bytes) await from.send(Channel.Bulk, payload);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const seconds = (performance.now() - start) / 1000;
  from.close();
  to.close();
  return Math.round(arrived / 1000 / seconds);
}

export async function linkGoodput() {
  return {
    "link.goodput": await goodput(0, 32 * MIB),
    "link.goodput_1e-5": await goodput(1e-5, 16 * MIB),
    "link.goodput_1e-4": await goodput(1e-4, 2 * MIB),
  };
}

/** The guest `flood` writes for ever. */
export async function consoleRate(bench) {
  let bytes = 0;
  const count = (_, port, more) => {
    if (port === 0) bytes += more.length;
  };
  const guest = await bench.run("flood");
  await bench.shows(guest, "\n100 flood");
  bench.hypervisor.on("console", count);
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, CONSOLE_MS));
  const seconds = (performance.now() - start) / 1000;
  bench.hypervisor.off("console", count);
  await bench.remove(guest);
  return { "console.bytes_per_s": Math.round(bytes / seconds) };
}
