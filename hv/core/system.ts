// Operations on the hypervisor as a whole: hello, ping, hostStat, cpuStat, shutdown.

import { Link } from "../../protocol/link";
import { CpuStatWord, Status } from "../../protocol/messages";
import { allBlocks, allFrames, BLOCK_BYTES, dirtyFrames, FRAME_BYTES, freeFrames } from "./frames";
import { exists, guests, top } from "./guests";
import * as host from "./host";
import { HostFact } from "./host";
import * as link from "./link";
import { added, argData, argsBytes, data, dataRoom, word } from "./message";

/** How long the reply to a shutdown may take to arrive. */
const FAREWELL: u64 = 500 * link.MILLISECOND;

let farewellEnd: u64 = link.NEVER;

export function hello(): u32 {
  word(Link.Version);
  word(host.fact(HostFact.Vendor));
  word(cpuCount());
  word(<u64>allBlocks * BLOCK_BYTES);
  word(host.fact(HostFact.TscKhz));
  word(host.fact(HostFact.ReadyTsc));
  word(host.fact(HostFact.StoreSectors));
  word(host.fact(HostFact.Features));
  const room = dataRoom();
  added(min(host.identity(<u32>data(), room), room));
  return Status.Ok;
}

export function ping(): u32 {
  memory.copy(data(), argData(0), argsBytes);
  added(argsBytes);
  return Status.Ok;
}

export function hostStat(): u32 {
  word(host.clock());
  word(host.fact(HostFact.IdleNs));
  word(freeFrames() * FRAME_BYTES);
  word(dirtyFrames() * FRAME_BYTES);
  word(allFrames * FRAME_BYTES);
  word(guests);
  word(link.framesIn);
  word(link.framesOut);
  word(link.framesBad);
  word(link.framesResent);
  word(host.fact(HostFact.SerialOverruns));
  word(host.fact(HostFact.Tsc));
  return Status.Ok;
}

function cpuCount(): u32 {
  let count: u32 = 0;
  for (let left = host.fact(HostFact.Cpus); left != 0; left &= left - 1) count++;
  return count;
}

export function cpuStat(): u32 {
  const cpus = <u32>host.fact(HostFact.Cpus);
  word(host.clock());
  word(cpus);
  for (let left = cpus; left != 0; left &= left - 1) {
    for (let index: u32 = 0; index < <u32>CpuStatWord.Words; index++) word(host.cpuStat(ctz(left), index));
  }
  return Status.Ok;
}

/** Every guest ends now; the machine goes off when the reply has arrived, or was given the time to. */
export function shutdown(): u32 {
  for (let slot: u32 = 0; slot < top; slot++) if (exists(slot)) host.guestKill(slot);
  farewellEnd = host.clock() + FAREWELL;
  return Status.Ok;
}

export function stopping(): bool {
  return farewellEnd != link.NEVER;
}

export function farewellDeadline(): u64 {
  return farewellEnd;
}

export function stopWhenSettled(now: u64): void {
  if (stopping() && (link.settled() || now >= farewellEnd)) host.shutdown();
}
