// Copies of guests in the daemon: of one that is there, or of a snapshot, which is loaded once for all of them. The hypervisor copies a slot;
// here the copies become guests, all of them or none. A Linux is told by its agent's line that it is a copy: docs/clones.md.
import { randomBytes } from "node:crypto";
import { AgentCloned, AgentFrame } from "../../../protocol/agent.js";
import { ResumeClock } from "../../../protocol/messages.js";
import { cloneNames } from "../api/clones.js";
import { checkName } from "../api/name.js";
import { HvkitError } from "../errors.js";
import { encodeAgentFrame } from "../link/agentframe.js";
import type { Guest, GuestImage, GuestOptions } from "./guest.js";
import type { Beginning, Copy, Guests, Origin } from "./guests.js";
import type { Host } from "./host.js";
import type { Log } from "./log.js";
import type { Progress } from "./slots.js";

export interface CloneWish {
  /** of one; of several the beginning */
  name?: string | undefined;
  count: number;
  /** they go on at the next unpause */
  paused: boolean;
}

/** What all copies have of what they are copies of. */
interface Model extends Omit<Beginning, "clone"> {
  of: { id: string; name: string } | null;
  /** with which the copies' names begin when none is given */
  name: string;
  image: GuestImage;
  options: GuestOptions;
}

/** the second serial port, which is the agent's */
const AGENT_PORT = 1;

export class Clones {
  constructor(
    private readonly host: Host,
    private readonly guests: Guests,
    private readonly log: Log,
  ) {}

  /** The source goes on meanwhile. Of several, the first copy is what the others are copied from: all are of one moment, at which the source stood once,
   *  and what is done to the source then waits for that one alone. */
  async clone(source: Guest, wish: CloneWish, progress: Progress): Promise<Guest[]> {
    if (wish.name !== undefined) checkName(wish.name, "guest");
    const make = await this.guests.beside(source, async (slot) => {
      const model = modelOf(source);
      if (wish.count === 1) {
        const made = await this.#copies(slot, model, wish, progress);
        return () => Promise.resolve(made);
      }
      const copy = await this.guests.slots.copy(slot);
      return () => this.#from(copy.slot, model, wish, progress);
    });
    return this.#release(await make(), wish.paused);
  }

  /** Copies of what is loaded from a snapshot: that itself never runs. */
  async fromSnapshot(
    image: GuestImage,
    name: string,
    options: GuestOptions,
    origin: Origin,
    wish: CloneWish,
    progress: Progress,
  ): Promise<Guest[]> {
    const model = { ...origin, of: null, name, image, options };
    return this.#release(await this.#from(await origin.load(options), model, wish, progress), wish.paused);
  }

  /** From a slot that is nobody's, and goes. */
  async #from(slot: number, model: Model, wish: CloneWish, progress: Progress): Promise<Guest[]> {
    try {
      return await this.#copies(slot, model, wish, progress);
    } finally {
      await this.guests.slots.drop(slot).catch((error: unknown) => this.log.warn({ err: error, slot }, "the copies' model"));
    }
  }

  async #copies(slot: number, model: Model, { name, count }: CloneWish, progress: Progress): Promise<Guest[]> {
    const made: Guest[] = [];
    try {
      for (let done = 0; done < count; done++) {
        progress("clone", done, count, "guests");
        made.push(await this.#copy(slot, model, count === 1 ? name : undefined, name ?? model.name));
      }
      progress("clone", count, count, "guests");
      return made;
    } catch (error) {
      await this.#takeBack(made);
      throw count === 1 ? error : ofMany(error, made.length, count);
    }
  }

  async #copy(
    slot: number,
    { of, image, options, snapshot, lineage, clockAt }: Model,
    wanted: string | undefined,
    base: string,
  ): Promise<Guest> {
    const [free = base] = cloneNames(base, 1, (candidate) => this.guests.isTaken(candidate));
    const guest = await this.guests.copy(image, wanted ?? free, options, async (): Promise<Copy> => {
      const copy = await this.guests.slots.copy(slot);
      return { slot: copy.slot, snapshot, lineage, clockAt, clone: { of, generation: String(copy.generation) } };
    });
    if (image.kind === "linux") this.#tell(guest);
    return guest;
  }

  /** The first that its agent reads. A guest without an agent never reads it. */
  #tell({ slot, name, clone }: Guest): void {
    if (slot === undefined || !clone) return;
    const payload = Buffer.alloc(AgentCloned.Name + name.length);
    payload.writeBigUInt64LE(BigInt(clone.generation), AgentCloned.Generation);
    randomBytes(AgentCloned.EntropyBytes).copy(payload, AgentCloned.Entropy);
    payload.write(name, AgentCloned.Name, "latin1");
    const frame = encodeAgentFrame({ session: 0n, seq: 0, ack: 0, type: AgentFrame.Cloned, payload });
    this.host.hypervisor
      .consoleWrite(slot, AGENT_PORT, frame)
      .catch((error: unknown) => this.log.warn({ err: error, guest: name }, "it was not told that it is a copy"));
  }

  /** Now that all are there. Whoever was quicker has paused, ended or removed one meanwhile: that stays so. */
  async #release(made: Guest[], paused: boolean): Promise<Guest[]> {
    if (paused) return made;
    for (const guest of made) {
      await this.guests.unpause(guest, ResumeClock.Frozen).catch((error: unknown) => {
        if (!(error instanceof HvkitError) || !["E_GUEST_STATE", "E_NO_GUEST"].includes(error.code)) throw error;
      });
    }
    return made;
  }

  async #takeBack(made: Guest[]): Promise<void> {
    for (const guest of made) await this.guests.takeBack(guest).catch(() => {}); // somebody removed it before
  }
}

/** As it is now. */
function modelOf({ id, name, image, options: { launch: _, ...options }, lineage, snapshot, savedAt }: Guest): Model {
  // One that was restored and has not gone on yet is behind the wall's clock, and so is its copy.
  return { of: { id, name }, name, image, options, lineage, snapshot, clockAt: savedAt };
}

/** The same, with how far it was. */
function ofMany(error: unknown, made: number, count: number): unknown {
  if (!(error instanceof HvkitError)) return error;
  const { code, message, hint, data } = error;
  return new HvkitError(code, `clone ${made + 1} of ${count} could not be made, and those before it are taken back: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    data: { ...data, made, count },
    cause: error,
  });
}
