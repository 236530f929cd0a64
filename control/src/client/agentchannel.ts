// One session's frames to the agent and from it: all of them, in order, once, over a line that may lose some (go-back-N; protocol/agent.ts).
// What is sent is kept until it is acknowledged. agentsession.ts says what they mean; link/agentframe.ts makes bytes of them.
import { AgentFrame, AgentLimit } from "../../../protocol/agent.js";
import { AgentDecoder, type AgentMessage, encodeAgentFrame } from "../link/agentframe.js";

export interface AgentLine {
  /** Bytes for the agent, all of them before those of a later call. */
  write(bytes: Uint8Array): Promise<void>;
}

export interface AgentChannelEvents {
  /** each of the agent's counted frames, once and in turn; and Ready */
  frame: (message: AgentMessage) => void;
  /** a frame of the session, whichever */
  heard: () => void;
  /** the agent was asked, and has not answered: before it is asked once more */
  silent: () => void;
  /** the other end is not the one that it was: why */
  lost: (why: string) => void;
  /** the line failed */
  failed: (error: Error) => void;
}

interface Kept {
  type: AgentFrame;
  payload: Uint8Array;
}

const TICK_MS = 500;
/** without a frame from the agent, until it is asked what is missing; then twice that, up to AliveSeconds */
const QUIET_MS = 1000;
const ALIVE_MS = AgentLimit.AliveSeconds * 1000;
/** frames that go as one piece */
const TOGETHER = 4;
const NOTHING: Uint8Array = new Uint8Array(0);

export class AgentChannel {
  readonly #decoder = new AgentDecoder((message) => this.#take(message));
  /** counted frames that are not acknowledged, the first of them #acked; those before #next were sent */
  readonly #kept: Kept[] = [];
  #acked = 0;
  #next = 0;
  #expected = 0;
  /** the last Again, and the last Whole that answered one */
  #asked = 0;
  #answered = 0;
  /** frames that are not counted, and wait for the line */
  readonly #due = new Set<AgentFrame>();
  #writing = false;
  #closed = false;
  #ticking: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #toldAt = 0;
  #quietMs = QUIET_MS;

  constructor(
    private readonly line: AgentLine,
    private readonly session: bigint,
    private readonly events: AgentChannelEvents,
  ) {}

  /** Bytes from the line. */
  push(bytes: Uint8Array): void {
    if (!this.#closed) this.#decoder.push(bytes);
  }

  /** A counted frame. */
  send(type: AgentFrame, payload: Uint8Array = NOTHING): void {
    if (this.#closed) return;
    this.#kept.push({ type, payload });
    this.#ticking ??= this.#startTicking();
    void this.#write();
  }

  /** Asks whether there is an agent. */
  hello(): void {
    this.#tell(AgentFrame.Hello);
  }

  /** Nothing goes or comes any more. `acknowledges`: but that all has come. */
  close(acknowledges = false): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#ticking);
    if (acknowledges) this.line.write(this.#encode(AgentFrame.Alive, this.#end)).catch(() => {}); // then the agent gives up by itself
  }

  get #end(): number {
    return this.#acked + this.#kept.length;
  }

  get #isAsking(): boolean {
    return this.#asked !== this.#answered;
  }

  #tell(type: AgentFrame): void {
    this.#due.add(type);
    void this.#write();
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      for (let bytes = this.#piece(); bytes.length > 0; bytes = this.#piece()) {
        this.#toldAt = performance.now();
        await this.line.write(bytes);
      }
    } catch (error) {
      if (!this.#closed) this.events.failed(error as Error);
    } finally {
      this.#writing = false;
    }
  }

  /** What goes next: what is not counted, then some of what was not sent. */
  #piece(): Uint8Array {
    if (this.#closed) return NOTHING;
    const due = [...this.#due].map((type) => this.#encode(type, this.#end, type === AgentFrame.Again ? word(this.#asked) : NOTHING));
    this.#due.clear();
    const first = this.#next;
    this.#next = Math.min(first + TOGETHER, this.#kept.length);
    const counted = this.#kept
      .slice(first, this.#next)
      .map(({ type, payload }, index) => this.#encode(type, this.#acked + first + index, payload));
    return Buffer.concat([...due, ...counted]);
  }

  #encode(type: AgentFrame, seq: number, payload: Uint8Array = NOTHING): Uint8Array {
    const ack = type === AgentFrame.Hello ? AgentLimit.Version : this.#expected;
    return encodeAgentFrame({ session: this.session, seq: type === AgentFrame.Hello ? 0 : seq, ack, type, payload });
  }

  #take(message: AgentMessage): void {
    if (this.#closed || (message.session !== this.session && message.session !== 0n)) return;
    if (message.type === AgentFrame.Ready) {
      this.events.frame(message);
      return;
    }
    if (message.session === 0n) return;
    this.#heardAt = performance.now();
    this.#quietMs = QUIET_MS;
    this.events.heard();
    if (!this.#acknowledged(message.ack)) return;
    const { type, seq, payload } = message;
    if (type === AgentFrame.Again) this.#next = 0;
    if (type === AgentFrame.Whole) this.#answered = Buffer.from(payload).readUInt32LE(0);
    const ahead = seq - this.#expected;
    // What comes twice was asked for; or the agent is an earlier one, with the guest: what it says may be other than it was.
    if (ahead < 0 && !this.#isAsking) this.events.lost("the guest went back to a snapshot");
    else if (ahead > 0 && !this.#isAsking) this.#ask();
    else if (ahead === 0 && !UNCOUNTED.includes(type)) {
      this.#expected++;
      this.events.frame(message);
    }
    void this.#write();
  }

  /** False: the agent says what it cannot. */
  #acknowledged(ack: number): boolean {
    const count = ack - this.#acked;
    if (count < 0 || count > this.#kept.length) {
      this.events.lost("the agent does not know it any more: the guest went back to a snapshot, or did not hear of it for long");
      return false;
    }
    this.#kept.splice(0, count);
    this.#acked = ack;
    this.#next = Math.max(0, this.#next - count);
    return true;
  }

  #ask(): void {
    this.#asked++;
    this.#tell(AgentFrame.Again);
  }

  #startTicking(): NodeJS.Timeout {
    this.#heardAt = performance.now();
    return setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    const now = performance.now();
    const isQuiet = now - Math.max(this.#heardAt, this.#toldAt) >= this.#quietMs;
    if (!isQuiet && now - this.#toldAt < ALIVE_MS) return;
    if (isQuiet && this.#quietMs > QUIET_MS) this.events.silent();
    if (isQuiet) this.#quietMs = Math.min(2 * this.#quietMs, ALIVE_MS);
    if (isQuiet && this.#isAsking) this.#ask();
    else this.#tell(AgentFrame.Alive);
  }
}

const UNCOUNTED: readonly AgentFrame[] = [AgentFrame.Alive, AgentFrame.Again, AgentFrame.Whole];

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
