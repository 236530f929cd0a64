// Types of build.mjs for what is written in TypeScript (tests, the control plane's setup).
export class BuildError extends Error {}
export const targets: readonly string[];
export function build(options?: {
  variant?: "product" | "hostile" | "boot";
  only?: readonly string[];
  log?: (line: string) => void;
}): Promise<number>;
