// Where client and daemon meet: a folder that is this user's alone, below XDG_RUNTIME_DIR or the folder for temporary files.
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import { HvkitError } from "../errors.js";
import { checkName } from "./name.js";

export interface RuntimePaths {
  /** HVKIT_INSTANCE; undefined: the one without a name */
  instance: string | undefined;
  folder: string;
  socket: string;
  /** the running daemon's process, and its engine's */
  lock: string;
  engine: string;
  log: string;
  /** of the TCP port, when it listens on one */
  token: string;
  guests: string;
}

/** sockaddr_un has 108 bytes on Linux and 104 on macOS, with a NUL */
const MAX_SOCKET_PATH = process.platform === "darwin" ? 103 : 107;

/** Each instance has a folder of its own: whatever two of them do, they do not meet. */
export function runtimePaths(env: NodeJS.ProcessEnv = process.env): RuntimePaths {
  const instance = env.HVKIT_INSTANCE || undefined;
  if (instance !== undefined) checkName(instance, "instance");
  const own = ownFolder(env);
  const folder = instance === undefined ? own : `${own}-${instance}`;
  const socket = join(folder, "daemon.sock");
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    throw new HvkitError("E_RUNTIME_FOLDER", `the socket's path is longer than ${MAX_SOCKET_PATH} bytes: ${socket}`, {
      hint: "Set XDG_RUNTIME_DIR to a folder with a shorter path.",
    });
  }
  return {
    instance,
    folder,
    socket,
    lock: join(folder, "daemon.json"),
    engine: join(folder, "engine.json"),
    log: join(folder, "daemon.log"),
    token: join(folder, "token"),
    guests: join(folder, "guests"),
  };
}

/** Of the instance without a name; those with one have it behind that. */
function ownFolder({ XDG_RUNTIME_DIR: base }: NodeJS.ProcessEnv): string {
  return base !== undefined && isAbsolute(base) && isFolder(base) ? join(base, "hvkit") : join(tmpdir(), `hvkit-${userId()}`);
}

/** Of those that have a folder: up, or left by a daemon that was killed. */
export function instanceNames(env: NodeJS.ProcessEnv = process.env): string[] {
  const own = ownFolder(env);
  const before = `${basename(own)}-`;
  const names = readdirSync(dirname(own)).filter((name) => name.startsWith(before));
  return names.map((name) => name.slice(before.length)).filter((name) => existsSync(join(`${own}-${name}`, "daemon.json")));
}

/** False: there is none. Throws when it is somebody else's, or open to others: what lies in it cannot be trusted then. */
export function checkRuntimeFolder(folder: string): boolean {
  const info = lstatSync(folder, { throwIfNoEntry: false });
  if (info === undefined) return false;
  const wrong = !info.isDirectory()
    ? "it is no folder"
    : info.uid !== userId()
      ? `it belongs to user ${info.uid}`
      : (info.mode & 0o077) !== 0
        ? `its mode is ${(info.mode & 0o777).toString(8)}, not 700`
        : undefined;
  if (wrong === undefined) return true;
  throw new HvkitError("E_RUNTIME_FOLDER", `${folder} cannot be used: ${wrong}`, {
    hint: "Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
  });
}

export function makeRuntimeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkRuntimeFolder(folder);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function userId(): number {
  return process.getuid?.() ?? 0;
}
