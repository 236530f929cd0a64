// Types of documents.mjs for the tests.
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import type { ZodType } from "zod";

export function cliDocument(
  program: CommandUnknownOpts,
  parts: { helpText: (command: CommandUnknownOpts) => string; outputs: Record<string, ZodType>; hidden: readonly string[] },
): string;
export function schemaFiles(parts: {
  outputs: Record<string, ZodType>;
  errorOutput: ZodType;
  toJSONSchema: (schema: ZodType) => object;
}): Map<string, string>;
