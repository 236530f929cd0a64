// The line between `hvkit exec` and the agent in a Linux guest, on the guest's second serial port: what both ends must agree on.
// Enums only: TypeScript (control/src/link/agentframe.ts) and, through the generated agent.inc, NASM (images/linux/agent.asm) read them here.
// docs/exec.md says who sends what when.
//
// A frame before COBS, little endian; on the wire it is COBS-encoded, between 00h bytes:
//
//    0            8        12     13       16       20           20+n      24+n
//   +---- .. -----+--------+------+--------+--------+---- ... ----+--------+
//   |   session   |  seq   | type | 0 0 0  |  ack   |  payload n  | CRC-32C|
//   +---- .. -----+--------+------+--------+--------+---- ... ----+--------+
//
//   session  a random number that the control plane chose, one for each command; 0: the agent has started, or woke up in a copy of its
//            guest, and knows no command.
//   seq      counts a session's frames in this direction from 0. Frames that are not counted (see AgentFrame) have the next one's.
//   type     AgentFrame
//   ack      the seq that the sender expects next from the other end: all before it has come. In Hello and Ready: AgentLimit.Version.
//   CRC-32C  over all that stands before it (RFC 3720 B.4).
//
// Nothing is lost (go-back-N): whoever sends a counted frame keeps it until it is acknowledged. A frame that is damaged is dropped, so is one out of
// its turn; whoever sees by a seq that something is missing asks by Again, and gets all from there on once more. The line keeps its order. What no
// frame follows is missed by Alive, which the control plane sends when it has heard nothing for a second.

export enum AgentFrame {
  /** Control plane -> agent. Is it there? Not counted. */
  Hello = 1,
  /** a part of the command: its folder, its environment, an empty string, its arguments, each closed by 00h */
  Command = 2,
  /** the command is whole: start it */
  Run = 3,
  /** bytes for its standard input, no more than there is room for */
  Input = 4,
  InputEnd = 5,
  /** [u32]: that many bytes of its output were taken, and may come again */
  OutputRoom = 6,
  /** [u8]: a signal for its process group */
  Signal = 7,
  /** whoever runs the command is still there, and what has come so far; answered by Alive. Both ways, not counted. */
  Alive = 8,
  /** [u32 n]: something is missing, send all from ack on again. Both ways, not counted; the agent's has no n. */
  Again = 9,
  /** AgentCloned; of session 0, not counted: the guest is a copy, and this its first frame. It is answered by Ready of session 0 */
  Cloned = 12,

  /** Agent -> control plane, to Hello and to Cloned. Not counted. [u64]: the generation that Cloned told last, 0: none did */
  Ready = 16,
  /** [u32]: its process */
  Started = 17,
  /** bytes of its standard output, no more than there is room for */
  Output = 18,
  /** and of its standard error */
  ErrorOutput = 19,
  /** [u32]: that many bytes of input were taken, and may come again */
  InputRoom = 20,
  /** [u32 AgentEnd][u32]: the session is over. It is kept until this is acknowledged. */
  End = 21,
  /** [u32 n]: that was all, to Again n. Not counted. */
  Whole = 22,
}

/** What a copy is told: where each part begins. */
export enum AgentCloned {
  /** u64: another one for each copy that there is */
  Generation = 0,
  /** for the kernel's pool */
  Entropy = 8,
  EntropyBytes = 32,
  /** to the payload's end: its name */
  Name = 40,
}

export enum AgentEnd {
  /** with the exit code */
  Exited = 0,
  /** with the signal */
  Signalled = 1,
  /** it could not be started: with Linux' error number */
  NotStarted = 2,
  /** what came for it made no sense */
  Lost = 3,
  /** as many commands run as there can be */
  Busy = 4,
}

export enum AgentLimit {
  Version = 2,
  HeaderBytes = 20,
  CrcBytes = 4,
  MaxPayload = 1024,
  /** of all parts of a command together */
  CommandBytes = 32768,
  /** of its arguments, and of its environment's entries */
  Strings = 1024,
  /** room for input, and for output of both kinds, at a command's start */
  InputWindow = 16384,
  OutputWindow = 65536,
  /** that the agent keeps of a session until they are acknowledged; those of output leave room for the others */
  Frames = 64,
  OutputFrames = 56,
  /** frames of output that were taken, after which OutputRoom tells so, however few their bytes */
  ToldFrames = 16,
  /** commands at once */
  Sessions = 8,
  /** without a frame for so long, a command is killed: nobody waits for it any more */
  SilenceSeconds = 60,
  /** Alive comes at least so often */
  AliveSeconds = 10,
}
