// docs/imports.md against the modules that were built: each import of theirs is in the document with its signature, and no other.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exportsOf, type Import, importsOf } from "../../support/wasm.js";

const text = readFileSync("docs/imports.md", "utf8");

/** Rows of the tables: | `name` | `signature` | what it may do | what checks it | */
function documented(): (Import & { does: string; checks: string })[] {
  const rows = [...text.matchAll(/^\| `(\w+)\.(\w+)` \| `(.+?)` \| (.+?) \| (.+?) \|$/gm)];
  return rows.map(([, module = "", name = "", signature = "", does = "", checks = ""]) => ({ module, name, signature, does, checks }));
}

function sorted(imports: readonly Import[]): string[] {
  return imports.map(({ module, name, signature }) => `${module}.${name}${signature}`).sort();
}

describe.each([
  ["machine", "guest"],
  ["core", "host"],
])("%s.wasm", (wasm, module) => {
  test("has the imports of the document, and the document those of the module", () => {
    const built = importsOf(readFileSync(`build/${wasm}.wasm`));
    expect(built.length).toBeGreaterThan(20);
    expect(sorted(documented().filter((row) => row.module === module))).toEqual(sorted(built));
  });
});

test("each row says what the import does, and what checks it, in a file that is there", () => {
  for (const { name, does, checks } of documented()) {
    expect(does.length, name).toBeGreaterThan(10);
    const [file] = /hv\/[\w/]+\.asm/.exec(checks) ?? [];
    const routine = file === undefined ? "" : readFileSync(file, "utf8");
    expect(routine, `${name}: ${file}`).toMatch(new RegExp(`^IMPORT ${name}\\b`, "m"));
  }
});

test("a binary's imports are read as they are written", () => {
  const wasm = Buffer.from("0061736d01000000010a0260027f7e017e60000002120201610162000003786f6e04676f6f640001", "hex");
  expect(importsOf(wasm)).toEqual([
    { module: "a", name: "b", signature: "(i32, i64) -> i64" },
    { module: "xon", name: "good", signature: "() ->" },
  ]);
  expect(exportsOf(readFileSync("build/core.wasm"))).toEqual(
    expect.arrayContaining([
      { name: "init", signature: "() ->" },
      { name: "poll", signature: "(i32) -> i32" },
    ]),
  );
});
