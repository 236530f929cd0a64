// Who debugs which guest: one connection a guest, from debug.attach until debug.detach, its end or the guest's. The connection hears when the
// guest stops, and when it is not there any more. Below handlers.ts; debuggee.ts does the work in the hypervisor.
import { DebugFlag } from "../../../protocol/debug.js";
import { ExitField, Register } from "../../../protocol/state.js";
import type { CheckedParams, Result } from "../api/methods.js";
import { HvkitError } from "../errors.js";
import { hex } from "../hex.js";
import { registerName } from "../hypervisor/texts.js";
import type { Connection } from "./connection.js";
import { Debuggee } from "./debuggee.js";
import type { Guest } from "./guest.js";
import type { Guests } from "./guests.js";
import { attached } from "./gueststate.js";
import type { Host } from "./host.js";
import type { Log } from "./log.js";

interface Session {
  connection: Connection;
  debuggee: Debuggee;
  running: boolean;
  onClose: () => void;
}

const registersByName = new Map(Array.from({ length: Register.Count }, (_, index) => [registerName(index), index as Register]));

export class Debuggers {
  readonly #sessions = new Map<Guest, Session>();

  constructor(
    private readonly host: Host,
    private readonly guests: Guests,
    private readonly log: Log,
  ) {
    guests.slots.on("stopped", (guest, stop, rip) => this.#stopped(guest, stop, rip));
    guests.on("changed", (guest) => {
      const session = this.#sessions.get(guest);
      const same = guest.slot === session?.debuggee.slot && (guest.state === "running" || guest.state === "paused");
      if (session && !same) this.#end(guest, session);
    });
    guests.on("removed", (guest) => {
      const session = this.#sessions.get(guest);
      if (session) this.#end(guest, session);
    });
  }

  async attach(guest: Guest, connection: Connection): Promise<void> {
    await this.guests.debugging(guest, async (slot, set) => {
      if (guest.debuggee) throw attached(guest.name);
      if (guest.state === "running") await this.host.hypervisor.guestPause(slot);
      set("paused");
      const debuggee = new Debuggee(this.host.hypervisor, slot);
      await debuggee.attach();
      const onClose = (): void => {
        this.detach(guest, connection).catch((error: unknown) => this.log.warn({ err: error, guest: guest.name }, "detach"));
      };
      guest.debuggee = debuggee;
      this.#sessions.set(guest, { connection, debuggee, running: false, onClose });
      connection.onClose.add(onClose);
      if (connection.closed) onClose();
    });
  }

  async detach(guest: Guest, connection: Connection): Promise<void> {
    this.#session(guest, connection);
    await this.guests.debugging(guest, async (slot, set) => {
      const session = this.#session(guest, connection);
      if (session.running) await this.guests.slots.pause(slot);
      await session.debuggee.detach();
      this.#forget(guest, session);
      set("running");
      await this.host.hypervisor.guestResume(slot);
    });
  }

  async resume(
    guest: Guest,
    connection: Connection,
    { step, pops, addresses, dr7, software }: CheckedParams<"debug.resume">,
  ): Promise<void> {
    await this.guests.debugging(guest, async (slot, set) => {
      const session = this.#standing(guest, connection);
      const flags = DebugFlag.Attached | (step ? DebugFlag.Step : 0) | (pops ? DebugFlag.Pops : 0);
      await session.debuggee.prepare({ flags, addresses: addresses.map(BigInt), dr7, software }).catch(async (error: unknown) => {
        await session.debuggee.attach();
        await session.debuggee.settle();
        throw error instanceof HvkitError && error.code === "E_HV_REFUSED" ? notApart(guest.name) : error;
      });
      // Before the call: it may stop before the reply is here.
      session.running = true;
      set("running");
      await this.host.hypervisor.guestResume(slot);
    });
  }

  /** By its debugger, or by `hvkit pause`: the debugger hears of it in any case. */
  async pause(guest: Guest): Promise<void> {
    await this.guests.debugging(guest, async (slot, set) => {
      const session = this.#sessions.get(guest);
      // One that has stopped by itself meanwhile says so.
      if (!session?.running || !(await this.guests.slots.pause(slot))) return;
      await session.debuggee.lift();
      session.running = false;
      set("paused");
      const { rip } = await this.host.hypervisor.guestState(slot);
      session.connection.notify("debug.stop", { id: guest.id, stop: 0, rip: hex(rip) });
    });
  }

  async read(guest: Guest, connection: Connection): Promise<Result<"debug.read">> {
    const { slot } = this.#standing(guest, connection).debuggee;
    const { hypervisor } = this.host;
    const [values, { inject, halted }] = await Promise.all([hypervisor.guestRegisters(slot), hypervisor.debugger.guestPending(slot)]);
    return { registers: Object.fromEntries(values.map((value, index) => [registerName(index), hex(value)])), inject: hex(inject), halted };
  }

  async write(guest: Guest, connection: Connection, { registers, inject }: CheckedParams<"debug.write">): Promise<void> {
    const { slot } = this.#standing(guest, connection).debuggee;
    const values: [Register | ExitField, bigint][] = registers.map(([name, value]) => {
      const register = registersByName.get(name);
      if (register === undefined) throw refused(name, value);
      return [register, BigInt(value)];
    });
    if (inject !== undefined) values.push([ExitField.Inject, BigInt(inject)]);
    try {
      await this.host.hypervisor.debugger.guestRegistersWrite(slot, values);
    } catch (error) {
      if (!(error instanceof HvkitError) || error.code !== "E_HV_REGISTER_REFUSED") throw error;
      const [register = "0x0", value = "0x0"] = (error.data?.words as string[] | undefined) ?? [];
      throw refused(registerName(Number(register)), value);
    }
  }

  async readFpu(guest: Guest, connection: Connection): Promise<Uint8Array> {
    return this.host.hypervisor.debugger.guestFpu(this.#standing(guest, connection).debuggee.slot);
  }

  async writeFpu(guest: Guest, connection: Connection, fpu: Uint8Array): Promise<void> {
    await this.host.hypervisor.debugger.guestFpuWrite(this.#standing(guest, connection).debuggee.slot, fpu);
  }

  async store(guest: Guest, connection: Connection, address: number, data: Uint8Array): Promise<void> {
    await this.host.hypervisor.debugger.guestStore(this.#standing(guest, connection).debuggee.slot, address, data);
  }

  #stopped(guest: Guest, stop: number, rip: bigint): void {
    this.guests
      .debugging(guest, async () => {
        const session = this.#sessions.get(guest);
        if (!session?.running) return;
        await session.debuggee.settle();
        session.running = false;
        session.connection.notify("debug.stop", { id: guest.id, stop, rip: hex(rip) });
      })
      .catch((error: unknown) => this.log.warn({ err: error, guest: guest.name }, "debugger's stop"));
  }

  #session(guest: Guest, connection: Connection): Session {
    const session = this.#sessions.get(guest);
    if (session?.connection === connection) return session;
    throw new HvkitError("E_DEBUG_DETACHED", `guest '${guest.name}' is not in this debugger's hands`, {
      hint: "It has ended or was reset; attach again.",
      data: { guest: guest.name },
    });
  }

  #standing(guest: Guest, connection: Connection): Session {
    const session = this.#session(guest, connection);
    if (!session.running) return session;
    throw new HvkitError("E_DEBUG_RUNNING", `guest '${guest.name}' runs: it must be stopped for that`, { data: { guest: guest.name } });
  }

  #end(guest: Guest, session: Session): void {
    this.#forget(guest, session);
    session.connection.notify("debug.end", { id: guest.id, state: guest.state, end: guest.end ?? null });
  }

  #forget(guest: Guest, { connection, onClose }: Session): void {
    connection.onClose.delete(onClose);
    this.#sessions.delete(guest);
    guest.debuggee = undefined;
  }
}

function notApart(name: string): HvkitError {
  return new HvkitError("E_DEBUG_PLACE", "a watchpoint or hardware breakpoint is where the hypervisor's own data or handlers are", {
    hint: "Under SVM the CPU's debug registers see the hypervisor, too. Use `break`, watch another place, or boot it in Bochs.",
    data: { guest: name },
  });
}

function refused(name: string, value: string): HvkitError {
  return new HvkitError("E_DEBUG_REGISTER", `the register ${name} cannot be ${value}`, {
    hint: "The CPU would refuse it, or it is read only; nothing after it was written.",
    data: { register: name, value },
  });
}
