// A bar for what a request of the daemon's takes long with, as its `progress` notifications tell: how much, and how fast.
import { showSize } from "../api/size.js";
import type { Client } from "../client/client.js";
import { ProgressLine } from "./output.js";

const WIDTH = 24;

/** The bar stands until the request is over. */
export async function withProgress<T>(client: Client, request: () => Promise<T>, now = () => performance.now()): Promise<T> {
  const line = new ProgressLine();
  let stage = "";
  let begun = 0;
  const onProgress = (progress: { stage: string; done: number; total: number }): void => {
    if (progress.stage !== stage) begun = now();
    stage = progress.stage;
    line.show(showProgress(progress, now() - begun));
  };
  client.on("progress", onProgress);
  try {
    return await request();
  } finally {
    client.off("progress", onProgress);
    line.clear();
  }
}

/** "save     [=========               ] 96 MiB of 256 MiB, 310 MiB/s" */
export function showProgress({ stage, done, total }: { stage: string; done: number; total: number }, ms: number): string {
  const filled = total === 0 ? WIDTH : Math.floor((done / total) * WIDTH);
  const bar = "=".repeat(filled).padEnd(WIDTH);
  const rate = ms > 0 ? `, ${showSize((done / ms) * 1000)}/s` : "";
  return `${stage.padEnd(8)} [${bar}] ${showSize(done)} of ${showSize(total)}${rate}`;
}
