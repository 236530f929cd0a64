// What a scripted machine's line carried: the guests' consoles and ends, up to the last one's. Takes the bytes as they come.
import { Channel, FrameType } from "../../../protocol/link.js";
import { type EndReason, Event, GuestEndedWords, Status } from "../../../protocol/messages.js";
import { HvkitError } from "../errors.js";
import { Message } from "../hypervisor/codec.js";
import { describeEnd, endReasonCode, statusError } from "../hypervisor/texts.js";
import { type Frame, FrameReader } from "../link/frame.js";

export interface ScriptedEnd {
  code: string;
  text: string;
  value: bigint;
}

export interface ScriptedOutputOptions {
  guests: number;
  onConsole: (guest: number, bytes: Uint8Array) => void;
  /** the hypervisor's own lines: what it says at its start, and a panic */
  onText?: (line: string) => void;
}

export class ScriptedOutput {
  readonly ends: (ScriptedEnd | undefined)[];
  /** bytes up to the end of the last guest's end */
  bytes = 0;
  readonly #options: ScriptedOutputOptions;
  readonly #reader: FrameReader;
  #bad: string | undefined;

  constructor(options: ScriptedOutputOptions) {
    this.#options = options;
    this.ends = Array.from({ length: options.guests }, () => undefined);
    this.#reader = new FrameReader({
      onFrame: (frame) => this.#frame(frame),
      onText: (line) => options.onText?.(line),
      // Before the first frame there may be the firmware's words.
      onBad: (fault) => {
        if (this.#begun) this.#bad = fault;
      },
    });
  }

  #begun = false;

  get done(): boolean {
    return this.ends.every((end) => end !== undefined);
  }

  /** Takes bytes until all guests have ended. Throws when a request was refused, or the line was damaged, which no second run would mend. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.done; at++) {
      this.#reader.push(bytes.subarray(at, at + 1));
      this.bytes++;
      if (this.#bad) throw new HvkitError("E_SCRIPT_OUTPUT", `the line carried what is no frame: ${this.#bad}`);
    }
  }

  #frame({ type, channel, payload }: Frame): void {
    this.#begun = true;
    if (type !== FrameType.Data) return;
    const message = new Message(payload);
    switch (channel) {
      case Channel.Reply:
        if (message.second !== Status.Ok) throw statusError("script", message.second, message.words());
        return;
      case Channel.Console:
        this.#options.onConsole(message.first, message.bytes(0));
        return;
      case Channel.Event:
        if (message.first === Event.GuestEnded) this.#ended(message);
        return;
      case Channel.Request:
    }
  }

  #ended(message: Message): void {
    const reason = message.number(GuestEndedWords.Reason) as EndReason;
    const value = message.word(GuestEndedWords.Value);
    this.ends[message.second] = { code: endReasonCode(reason), text: describeEnd(reason, value), value };
  }
}
