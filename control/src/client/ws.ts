// ws for a process that lives for one command: by require, since an import makes Node look through each of its files for the names that
// they export, which takes several times as long as to load them.
import { createRequire } from "node:module";

export const { WebSocket } = createRequire(import.meta.url)("ws") as typeof import("ws");
