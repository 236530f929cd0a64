// The hypervisor's life in the daemon: started, lost by a panic or with its engine, started again, ended. Guests hear of it by events.
import { EventEmitter } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Failure, Status } from "../api/schemas.js";
import { isPassing } from "../engines/attach.js";
import { HvkitError } from "../errors.js";
import { replaceFile } from "../files.js";
import type { HypervisorClient } from "../hypervisor/hypervisor.js";
import { endGuests } from "../hypervisor/leftovers.js";
import type { Layout } from "../snapshot/format.js";
import type { Boot, Booted, BootRequest } from "./boot.js";
import type { Log } from "./log.js";

export interface HostEvents {
  /** a hypervisor answers; guests attach their listeners to it */
  up: [hypervisor: HypervisorClient];
  /** it is gone, with every guest */
  lost: [failure: Failure];
  state: [state: Status["state"], reason: string | null];
  /** the line to it is away, and it goes on with its guests; null: it is there again */
  link: [lost: Status["linkLost"]];
}

/** This many losses within the time, and it is not started again: it would go on for ever. */
const MAX_FAILURES = 3;
const FAILURE_WINDOW_MS = 60_000;
/** a panic report's last lines may come after the link was given up */
const REPORT_GRACE_MS = 200;
/** until a machine elsewhere is tried again */
const REATTACH_MS = 2000;
/** for what is asked of the hypervisor at the end */
const FAREWELL_MS = 500;
const EXTERNAL_FAREWELL_MS = 5000;

export interface HostOptions {
  boot: Boot;
  request: BootRequest;
  /** the daemon's runtime folder */
  folder: string;
  log: Log;
  onLine?: (line: string) => void;
  /** called with the process of each engine that starts */
  onEngine?: (pid: number) => void;
}

export class Host extends EventEmitter<HostEvents> {
  state: Status["state"] = "starting";
  restarts = 0;
  lastFailure: Failure | undefined;
  /** of a machine elsewhere, whose guests go on */
  linkLost: Status["linkLost"] = null;
  #booted: Booted | undefined;
  #starts = 0;
  #failures: number[] = [];
  #panic: string[] = [];
  #starting: Promise<void> | undefined;
  #restarting: Promise<void> | undefined;
  readonly #abort = new AbortController();

  constructor(private readonly options: HostOptions) {
    super();
  }

  get booted(): Booted | undefined {
    return this.#booted;
  }

  /** RAM of the machine that it boots on */
  get memoryBytes(): number {
    return this.#booted?.engine.external ? this.#booted.hypervisor.hello.memoryBytes : this.options.request.memoryBytes;
  }

  get hypervisor(): HypervisorClient {
    return this.require();
  }

  /** The hypervisor, or the error that says why there is none. */
  require(): HypervisorClient {
    return this.#running().hypervisor;
  }

  /** The table of the state region that its machines have. */
  get layout(): Layout {
    return this.#running().layout;
  }

  #running(): Booted {
    if (this.#booted && this.state === "running") return this.#booted;
    const why = this.lastFailure ? ` (${this.lastFailure.reason})` : "";
    throw new HvkitError("E_HYPERVISOR_DOWN", `the hypervisor is ${this.state === "failed" ? "down" : this.state}${why}`, {
      hint: this.state === "failed" ? "`hvkit down`, then `hvkit up`; `hvkit status` has the details." : "Try again in a moment.",
    });
  }

  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { boot, request, log, onLine, onEngine } = this.options;
    this.#starts++;
    const runDir = this.#runDir();
    mkdirSync(runDir, { mode: 0o700 });
    this.#panic = [];
    const booted = await boot(request, {
      runDir,
      onLine: (line) => {
        log.info({ line }, "boot");
        onLine?.(line);
      },
      onEngine: (engine) => {
        log.info({ engine: engine.name, accel: engine.accel, pid: engine.pid, command: engine.command }, "engine started");
        if (engine.pid !== undefined) onEngine?.(engine.pid);
      },
      onFault: (error) => log.error({ err: error }, "a listener of the hypervisor failed"),
      signal: this.#abort.signal,
    }).catch((error: unknown) => {
      rmSync(runDir, { recursive: true, force: true });
      throw error;
    });
    if (this.#abort.signal.aborted) {
      await booted.hypervisor.close();
      throw new HvkitError("E_STOPPED", "the daemon was ended while the hypervisor started");
    }
    this.#booted = booted;
    const { hypervisor } = booted;
    hypervisor.on("text", (line) => log.info({ line }, "hypervisor"));
    hypervisor.on("panic", (lines) => this.#onPanic(booted, lines));
    hypervisor.on("broken", (reason) => this.#setLink({ since: new Date().toISOString(), reason }));
    hypervisor.on("back", () => this.#setLink(null));
    hypervisor.on("lost", (reason) => this.#onLost(booted, reason));
    this.emit("up", hypervisor);
    this.#setState("running", null);
  }

  /** Ends the hypervisor for good. */
  async stop(): Promise<void> {
    this.#setState("stopping", null);
    this.#abort.abort();
    // A start under way ends its engine itself when it sees the signal.
    await this.#starting?.catch(() => {});
    await this.#restarting;
    const booted = this.#booted;
    this.#booted = undefined;
    if (!booted) return;
    // Asked first, so that the machine is powered off in order; an engine that does not end by it is ended. One elsewhere goes on, without
    // our guests.
    const { external = false } = booted.engine;
    const farewell = external ? endGuests(booted.hypervisor) : booted.hypervisor.shutdown();
    const patience = new Promise((resolve) => setTimeout(resolve, external ? EXTERNAL_FAREWELL_MS : FAREWELL_MS).unref());
    await Promise.race([farewell.catch(() => {}), patience]);
    await booted.hypervisor.close().catch((error: unknown) => this.options.log.warn({ err: error }, "close"));
    await booted.engine.stop();
  }

  #onPanic(booted: Booted, lines: string[]): void {
    this.#panic = lines;
    this.options.log.error({ lines }, "the hypervisor panicked");
    try {
      replaceFile(join(this.options.folder, `panic-${this.restarts + 1}.txt`), `${lines.join("\n")}\n`);
    } catch (error) {
      this.options.log.error({ err: error }, "the panic report's file could not be written");
    }
    // The client tells the loss itself, with a summary; whatever it tells, a panicked hypervisor is lost.
    setImmediate(() => this.#onLost(booted, lines.find((line) => line.trim() !== "") ?? "panic"));
  }

  #onLost(booted: Booted, reason: string): void {
    if (booted !== this.#booted || this.state !== "running") return;
    this.linkLost = null;
    this.#setState("restarting", reason);
    this.#restarting = this.#restart(booted, reason).catch((error: unknown) => this.options.log.error({ err: error }, "restart"));
  }

  async #restart(booted: Booted, reason: string): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, REPORT_GRACE_MS));
    const words = booted.engine.lastWords().trim();
    const failure: Failure = { at: new Date().toISOString(), reason, panic: this.#panic };
    this.lastFailure = failure;
    this.options.log.error({ reason, words }, "the hypervisor is lost");
    this.emit("lost", failure);
    await booted.hypervisor.close().catch(() => {});
    await booted.engine.stop();
    rmSync(this.#runDir(), { recursive: true, force: true });
    this.#booted = undefined;

    const now = Date.now();
    this.#failures = [...this.#failures.filter((at) => now - at < FAILURE_WINDOW_MS), now];
    if (this.#abort.signal.aborted) return;
    if (this.#failures.length > MAX_FAILURES && !booted.engine.external) {
      this.#setState("failed", `lost ${this.#failures.length} times within a minute: ${reason}`);
      return;
    }
    this.restarts++;
    try {
      await this.#startAgain(booted.engine.external ?? false);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      this.options.log.error({ err: error }, "the hypervisor could not be started again");
      this.lastFailure = { ...failure, reason: `${reason}; then it could not be started again: ${message}` };
      this.#setState("failed", message);
    }
  }

  /** A line to a machine elsewhere may be away for a while: it is tried until it is there again. */
  async #startAgain(external: boolean): Promise<void> {
    for (;;) {
      try {
        await this.start();
        return;
      } catch (error) {
        if (!external || !isPassing(error)) throw error;
        this.options.log.warn({ err: error }, "the machine is not back yet");
        await sleep(REATTACH_MS, undefined, { signal: this.#abort.signal });
      }
    }
  }

  /** of the engine that was started last */
  #runDir(): string {
    return join(this.options.folder, `engine-${this.#starts}`);
  }

  #setLink(lost: Status["linkLost"]): void {
    this.linkLost = lost;
    if (lost) this.options.log.warn({ reason: lost.reason }, "the link is lost; the machine is waited for, with its guests");
    else this.options.log.info("the link is back, and the guests with it");
    this.emit("link", lost);
  }

  #setState(state: Status["state"], reason: string | null): void {
    if (this.state === "stopping") return;
    this.state = state;
    this.emit("state", state, reason);
  }
}
