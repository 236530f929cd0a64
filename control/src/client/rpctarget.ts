// A guest of the daemon as the stub's target. Its connection to the daemon is its hold on the guest: when it closes, however, the guest goes on.

import { DebugFlag } from "../../../protocol/debug.js";
import { Register } from "../../../protocol/state.js";
import { MAX_CHUNK, type Notification, type Result } from "../api/methods.js";
import type { RunWish, Target, TargetEvents } from "../debug/target.js";
import { hex } from "../hex.js";
import type { PendingEntry } from "../hypervisor/debugger.js";
import { registerName } from "../hypervisor/texts.js";
import type { Client } from "./client.js";

const names = Array.from({ length: Register.Count }, (_, index) => registerName(index));
export class RpcTarget implements Target {
  events: TargetEvents | undefined;
  /** while the guest stands, and nothing of it is changed */
  #moment: Promise<Result<"debug.read">> | undefined;

  private constructor(
    private readonly client: Client,
    readonly id: string,
    readonly name: string,
    readonly memoryBytes: number,
    readonly xsave: boolean,
    readonly avx: boolean,
  ) {
    client.on("debug.stop", this.#onStop);
    client.on("debug.end", this.#onEnd);
    client.on("close", this.#onClose);
  }

  /** The guest stands afterwards, and the client is the target's, which closes it. E_DEBUG_ATTACHED, E_NO_GUEST, E_GUEST_STATE. */
  static async attach(client: Client, guest: string): Promise<RpcTarget> {
    const attached = await client.call("debug.attach", { guest }).catch(async (error: unknown) => {
      await client.close();
      throw error;
    });
    const { guest: summary, xsave, avx } = attached;
    return new RpcTarget(client, summary.id, summary.name, summary.memoryBytes, xsave, avx);
  }

  async registers(): Promise<bigint[]> {
    const { registers } = await this.#read();
    return names.map((name) => BigInt(registers[name] ?? "0x0"));
  }

  async pending(): Promise<PendingEntry> {
    const { inject, halted } = await this.#read();
    return { inject: BigInt(inject), halted };
  }

  async writeRegisters(values: readonly (readonly [Register, bigint])[], inject?: bigint): Promise<void> {
    this.#moment = undefined;
    const registers = values.map(([register, value]): [string, string] => [registerName(register), hex(value)]);
    await this.client.call("debug.write", { guest: this.id, registers, ...(inject === undefined ? {} : { inject: hex(inject) }) });
  }

  async fpu(): Promise<Uint8Array> {
    return Buffer.from((await this.client.call("debug.fpu", { guest: this.id })).data, "base64");
  }

  async writeFpu(fpu: Uint8Array): Promise<void> {
    await this.client.call("debug.fpu.write", { guest: this.id, data: Buffer.from(fpu).toString("base64") });
  }

  async read(address: number, length: number): Promise<Uint8Array> {
    const parts: Promise<{ data: string }>[] = [];
    for (let at = 0; at < length; at += MAX_CHUNK) {
      parts.push(this.client.call("mem", { guest: this.id, address: address + at, length: Math.min(MAX_CHUNK, length - at) }));
    }
    return Buffer.concat((await Promise.all(parts)).map(({ data }) => Buffer.from(data, "base64")));
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    await this.client.call("debug.store", { guest: this.id, address, data: Buffer.from(bytes).toString("base64") });
  }

  async run({ flags, addresses, dr7, software }: RunWish): Promise<void> {
    this.#moment = undefined;
    await this.client.call("debug.resume", {
      guest: this.id,
      step: (flags & DebugFlag.Step) !== 0,
      pops: (flags & DebugFlag.Pops) !== 0,
      addresses: addresses.map(hex),
      dr7,
      software: [...software],
    });
  }

  async pause(): Promise<void> {
    await this.client.call("debug.pause", { guest: this.id });
  }

  async detach(): Promise<void> {
    this.#off();
    try {
      await this.client.call("debug.detach", { guest: this.id });
    } finally {
      await this.client.close();
    }
  }

  #read(): Promise<Result<"debug.read">> {
    this.#moment ??= this.client.call("debug.read", { guest: this.id });
    return this.#moment;
  }

  #off(): void {
    this.client.off("debug.stop", this.#onStop);
    this.client.off("debug.end", this.#onEnd);
    this.client.off("close", this.#onClose);
  }

  readonly #onStop = ({ id, stop }: Notification<"debug.stop">): void => {
    if (id === this.id) this.events?.stop(stop);
  };

  readonly #onEnd = ({ id, state, end }: Notification<"debug.end">): void => {
    if (id !== this.id) return;
    this.#off();
    if (state === "exited" && end) this.events?.end(`${this.name} has ended: ${end.text}`, exitCode(end.code));
    else this.events?.end(`${this.name} is not what it was: it was reset, reverted or removed`, undefined);
  };

  readonly #onClose = (reason: string): void => {
    this.#off();
    this.events?.end(reason, undefined);
  };
}

/** Undefined: it was ended by somebody. */
function exitCode(code: string): number | undefined {
  if (code === "power-off") return 0;
  return code === "killed" || code === "stopped" ? undefined : 1;
}
