/** The layout table is build/layout.json's (control/src/snapshot/format.ts). */
export function buildModule(options: {
  address: number;
  name?: string;
  edits?: readonly { file: string; from: string; to: string }[];
  compile?: (args: readonly string[]) => Promise<string>;
  log?: (line: string) => void;
}): Promise<{ bytes: Buffer; layout: unknown; base: string; identity: string }>;
