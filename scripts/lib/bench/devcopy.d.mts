// Types of devcopy.mjs for the contract suite.
import type { ChildProcess } from "node:child_process";
import type { DevEvent } from "../../../control/src/api/dev.js";

export class DevCopy {
  /** with the runtime folder below */
  readonly folder: string;
  readonly root: string;
  readonly main: string;
  readonly env: NodeJS.ProcessEnv;
  readonly events: DevEvent[];
  readonly child: ChildProcess;
  path(name: string): string;
  start(args: readonly string[]): void;
  event(matches: (event: DevEvent) => boolean, seconds: number, from?: number): Promise<DevEvent>;
  interrupt(): Promise<number | null>;
  remove(): Promise<void>;
}
