// Types of build.mjs for what is written in TypeScript (tests, the control plane's setup).
export class BuildError extends Error {}
export const targets: readonly string[];
export function build(options?: {
  variant?: "product" | "hostile" | "boot" | "entry" | "broken";
  only?: readonly string[];
  edits?: readonly { file: string; from: string; to: string }[];
  log?: (line: string) => void;
}): Promise<number>;
