// Who is at the other end of a TCP connection on this machine: on Linux, only sockets of our own user are let in. (A port on loopback
// is open to every user; Bochs has no other way to connect.) Used by bochs.
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";

/** Whether the peer's socket is our own user's. Where the kernel does not tell (not Linux), the first one to come is taken. */
export function samePeer(socket: Socket): boolean {
  if (process.platform !== "linux" || process.getuid === undefined) return true;
  let table: string;
  try {
    table = readFileSync("/proc/net/tcp", "latin1");
  } catch {
    return true;
  }
  return ownerOf(table, socket.remotePort ?? 0, socket.localPort ?? 0) === process.getuid();
}

/** The user id of the loopback socket whose own port and remote port these are, from the text of /proc/net/tcp (proc(5)). */
export function ownerOf(table: string, port: number, remotePort: number): number | undefined {
  const loopback = (value: number): string => `0100007F:${value.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of table.split("\n").slice(1)) {
    const [, local, remote, , , , , uid] = line.trim().split(/\s+/);
    if (local === loopback(port) && remote === loopback(remotePort)) return Number(uid);
  }
  return undefined;
}
