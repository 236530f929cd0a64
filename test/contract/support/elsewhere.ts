// A machine that is booted elsewhere, as far as hvkit knows: QEMU, started by the test with hv.img and a serial line that has a name.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { requireProgram } from "../../../control/src/engines/probe.js";
import { root } from "./machine.js";

const BOOT_MS = 60_000;

export class ElsewhereMachine {
  private constructor(
    readonly process: ChildProcess,
    /** the serial line: a pty's path, or a Unix socket's */
    readonly line: string,
  ) {}

  static async start(kind: "pty" | "socket", folder: string): Promise<ElsewhereMachine> {
    const socket = join(folder, "machine");
    const chardev = kind === "pty" ? "pty,id=link" : `socket,id=link,path=${socket},server=on,wait=off`;
    const args = [
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc", "-m", "128M"],
      ...["-accel", "tcg", "-cpu", "max,-la57,-pku", "-chardev", chardev, "-serial", "chardev:link"],
      ...["-drive", `file=${join(root, "build/hv.img")},format=raw,if=ide,index=0,snapshot=on`, "-boot", "c"],
    ];
    const child = spawn(requireProgram("QEMU", "qemu-system-x86_64", "qemu-system-x86"), args, {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let words = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        words += bytes.toString();
      });
    }
    const named = (): string | undefined =>
      kind === "pty" ? /redirected to (\S+)/.exec(words)?.[1] : existsSync(socket) ? socket : undefined;
    const until = Date.now() + BOOT_MS;
    let line = named();
    for (; !line; line = named()) {
      if (child.exitCode !== null || Date.now() > until) {
        child.kill("SIGKILL");
        throw new Error(`QEMU did not make its serial line: ${words}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return new ElsewhereMachine(child, line);
  }

  get runs(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async stop(): Promise<void> {
    if (!this.runs) return;
    const gone = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await gone;
  }
}
