// How long it takes until a guest that runs is on another machine module: the module is there, linked for its place.
import { Carrier } from "../../../build/js/control/src/hypervisor/carrier.js";
import { planMoves, regionMoves } from "../../../build/js/control/src/snapshot/moves.js";
import { buildModule } from "../module.mjs";

const TURNS = 9;

/** As the daemon does it for one guest: a carrier is made, the module uploaded and loaded, the guest goes over, the carrier goes. */
export async function swapOnce(bench) {
  const { hypervisor } = bench;
  const guest = await bench.run("hash");
  await bench.shows(guest, "round 2 ");
  const { places } = await hypervisor.modules.modules();
  const modules = await Promise.all([1, 2].map(async (slot) => buildModule({ address: places[slot].address, name: `bench${slot}` })));
  const times = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const { bytes, layout } = modules[turn % 2];
    const start = performance.now();
    const carrier = await Carrier.make(hypervisor);
    await carrier.load(bytes, 1 + (turn % 2));
    await carrier.setMoves(regionMoves(planMoves(layout, layout)));
    await carrier.swap(guest, 1 + (turn % 2));
    await carrier.remove();
    times.push(performance.now() - start);
  }
  await bench.remove(guest);
  return { "swap.ms": times.sort((a, b) => a - b)[TURNS >> 1] };
}
