// Whether the daemon at a connection's other end still lives: one that hangs keeps its socket open, and says nothing for ever. It is
// pinged all the time; a busy one answers late, so it is given up only after several turns in which no byte of it came. Turns are
// counted, not seconds: a program that was stopped itself for a minute has had one turn, not a dead daemon.
import type { WebSocket } from "ws";

export interface PulseOptions {
  /** of one turn */
  turnMs?: number;
  /** turns without a byte, after which it is given up */
  turns?: number;
  /** bytes that have come: a long answer on a slow line is heard while it comes, and what answers the ping stands behind it */
  received: () => number;
  /** called once, with the seconds that nothing was heard for */
  onSilent: (seconds: number) => void;
}

const TURN_MS = 4000;
const TURNS = 3;

/** Until the socket closes. It keeps no program alive. */
export function watchPulse(socket: WebSocket, { turnMs = TURN_MS, turns = TURNS, received, onSilent }: PulseOptions): void {
  let heard = received();
  let silent = 0;
  const turn = (): void => {
    const now = received();
    silent = now === heard ? silent + 1 : 0;
    heard = now;
    if (silent < turns) {
      ping();
    } else {
      clearInterval(timer);
      onSilent(Math.round((turns * turnMs) / 1000));
    }
  };
  const ping = (): void => {
    if (socket.readyState === socket.OPEN) socket.ping();
  };
  const timer = setInterval(turn, turnMs);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
  ping();
}
