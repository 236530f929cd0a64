// The guests of one test: made through it, gone when it ends. Of a test that failed, what is known of each is kept.
import { join } from "node:path";
import type { Params } from "../api/methods.js";
import type { Abortable } from "../client/abort.js";
import type { CloneOptions, Guest } from "../client/guest.js";
import type { Hvkit, RunOptions } from "../client/hvkit.js";
import { HvkitError } from "../errors.js";
import { keepArtifacts } from "./artifacts.js";
import { ArtifactFolders } from "./folders.js";

/** vitest loads this anew for each file of each run */
const run = new ArtifactFolders();

export class TestGuests {
  readonly #guests: Guest[] = [];

  /** @param artifacts the folder for what is kept; a test's is one in it, named by its `title`
   *  @param folders of this run */
  constructor(
    private readonly hvkit: Hvkit,
    private readonly artifacts: string,
    private readonly title: string,
    private readonly say: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
    private readonly folders = run,
  ) {}

  /** As hvkit.run(). A guest that resets itself has ended, and so has a Linux that panics, unless `noReboot` is false. */
  async run(image: string, options: RunOptions = {}): Promise<Guest> {
    return this.adopt(await this.hvkit.run(image, { noReboot: true, ...options }));
  }

  /** As hvkit.restore(), and likewise. */
  async restore(snapshot: string, options: Abortable & Omit<Params<"restore">, "snapshot"> = {}): Promise<Guest> {
    return this.adopt(await this.hvkit.restore(snapshot, { noReboot: true, ...options }));
  }

  /** As guest.clone(). */
  async clone(guest: Guest, options: CloneOptions = {}): Promise<Guest[]> {
    return (await guest.clone(options)).map((copy) => this.adopt(copy));
  }

  /** A guest that the test made in another way goes with it, too. */
  adopt(guest: Guest): Guest {
    this.#guests.push(guest);
    return guest;
  }

  /** After the test. */
  async end(failed: boolean): Promise<void> {
    this.folders.ended(this.artifacts, this.title);
    const guests = this.#guests.splice(0);
    if (failed && guests.length > 0) {
      const folder = this.folders.give(this.artifacts, this.title);
      for (const guest of guests)
        await keepArtifacts(guest, join(folder, guest.name)).catch((error: Error) => this.say(`hvkit: ${error.message}`));
      this.say(`hvkit: ${this.title} failed; its guests' console, registers, exits and snapshot are in ${folder}`);
    }
    for (const guest of guests) await removed(guest);
  }
}

async function removed(guest: Guest): Promise<void> {
  try {
    await guest.rm({ force: true });
  } catch (error) {
    // The test may have done so itself.
    if (!(error instanceof HvkitError) || error.code !== "E_NO_GUEST") throw error;
  }
}
