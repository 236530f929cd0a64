// docs/errors.md lists every error code that the sources have, and no other.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { projectRoot } from "../../../control/src/api/root.js";
import { statusCode, statusTexts } from "../../../control/src/hypervisor/texts.js";

it("docs/errors.md is complete", () => {
  const root = projectRoot();
  const documented = new Set(
    readFileSync(join(root, "docs/errors.md"), "utf8")
      .match(/`E_[A-Z0-9_]+`/g)
      ?.map((code) => code.slice(1, -1)),
  );
  const used = new Set(Object.keys(statusTexts).map((status) => statusCode(Number(status))));
  for (const what of ["KERNEL", "INITRD", "MODULE"]) used.add(`E_${what}_TOO_LARGE`); // made of parts in images/plan.ts
  for (const file of readdirSync(join(root, "control/src"), { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    const source = readFileSync(join(root, "control/src", file), "utf8");
    for (const [, code] of source.matchAll(/"(E_[A-Z0-9_]+)"/g)) used.add(code ?? "");
  }
  expect([...used].filter((code) => !documented.has(code))).toEqual([]);
  expect([...documented].filter((code) => !used.has(code))).toEqual([]);
});
