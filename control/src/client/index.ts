// What other programs may use of hvkit: `import { connect } from "hvkit"`. docs/library.md shows it.
export type { EventType, HvkitEvent } from "../api/events.js";
export type { MethodName, Notification, NotificationName, Params, Result } from "../api/methods.js";
export type {
  GuestDetail,
  GuestEnd,
  GuestState,
  GuestStats,
  GuestSummary,
  ImageInfo,
  SnapshotCheck,
  SnapshotDetail,
  SnapshotEntry,
  SnapshotSummary,
  Status,
} from "../api/schemas.js";
export { HvkitError } from "../errors.js";
export type { Dmesg } from "../linux/dmesg.js";
export { type KernelPanic, kernelPanic } from "../linux/kernelpanic.js";
export type { OfflineMachine } from "../offline/machine.js";
export type { Finding } from "../why/finding.js";
export type { Abortable } from "./abort.js";
export { Client } from "./client.js";
export { Console, type ConsoleEnd, type ConsoleOptions } from "./console.js";
export { type EventOptions, events } from "./events.js";
export { type ExecEnd, type ExecOptions, type ExecResult, type ExecStreams, Execution } from "./exec.js";
export { type CloneOptions, type ConsoleReading, Guest, type GuestEnded, type Waiting } from "./guest.js";
export { type ConnectOptions, connect, down, Hvkit, type RunOptions, type UpOptions, up, type Where } from "./hvkit.js";
export type { DaemonAddress, RemoteDaemon } from "./opening.js";
export { openSnapshot, SavedFile } from "./savedfile.js";
