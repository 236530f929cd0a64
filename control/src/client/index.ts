// What other programs may use of hvkit.
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
export { Client } from "./client.js";
export { Console, type ConsoleEnd, type ConsoleOptions } from "./console.js";
export { type EventOptions, events } from "./events.js";
export { launchDaemon } from "./launch.js";
