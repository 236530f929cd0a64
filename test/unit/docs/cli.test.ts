// docs/cli.md and schemas/ are what the sources make of them: `node scripts/documents.mjs` writes them anew.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { expect, it } from "vitest";
import { toJSONSchema } from "zod";
import { errorOutput, outputs } from "../../../control/src/api/outputs.js";
import { projectRoot } from "../../../control/src/api/root.js";
import { helpText } from "../../../control/src/cli/helptext.js";
import { HIDDEN, makeProgram } from "../../../control/src/cli/program.js";
import { cliDocument, schemaFiles } from "../../../scripts/lib/documents.mjs";

const root = projectRoot();

it("docs/cli.md has every command's help as it is", async () => {
  const made = cliDocument(await makeProgram(), { helpText, outputs, hidden: HIDDEN });
  expect(readFileSync(join(root, "docs/cli.md"), "utf8")).toBe(made);
});

it("schemas/ has a file for each command's --json, and for errors", () => {
  const made = schemaFiles({ outputs, errorOutput, toJSONSchema });
  expect(readdirSync(join(root, "schemas")).sort()).toEqual([...made.keys()].sort());
  for (const [name, text] of made) expect(readFileSync(join(root, "schemas", name), "utf8"), name).toBe(text);
});

it("every command that has --json has a schema", async () => {
  const found: string[] = [];
  const walk = (command: CommandUnknownOpts, path: string[]): void => {
    if (command.options.some(({ long }) => long === "--json")) found.push(path.join(" "));
    for (const below of command.commands) walk(below, [...path, below.name()]);
  };
  walk(await makeProgram(), []);
  expect(found.sort()).toEqual(Object.keys(outputs).sort());
});
