#!/usr/bin/env node
// node scripts/protocol.mjs: writes docs/protocol.md anew, after a change of protocol/*.ts and `npm run build`.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { protocolDocument } from "./lib/protocoldoc.mjs";
import { root } from "./lib/run.mjs";

writeFileSync(join(root, "docs/protocol.md"), await protocolDocument());
