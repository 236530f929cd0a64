#!/usr/bin/env node
// Makes docs/cli.md and schemas/ of what was built: `npm run build && node scripts/documents.mjs`. A test compares.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toJSONSchema } from "zod";
import { cliDocument, schemaFiles } from "./lib/documents.mjs";
import { root } from "./lib/run.mjs";

const built = (path) => import(join(root, "build/js/control/src", path));
const [{ HIDDEN, makeProgram }, { helpText }, { outputs, errorOutput }] = await Promise.all(
  ["cli/program.js", "cli/helptext.js", "api/outputs.js"].map(built),
);

writeFileSync(join(root, "docs/cli.md"), cliDocument(await makeProgram(), { helpText, outputs, hidden: HIDDEN }));
const schemas = join(root, "schemas");
mkdirSync(schemas, { recursive: true });
const files = schemaFiles({ outputs, errorOutput, toJSONSchema });
for (const [name, text] of files) writeFileSync(join(schemas, name), text);
for (const name of readdirSync(schemas)) if (!files.has(name)) rmSync(join(schemas, name));
