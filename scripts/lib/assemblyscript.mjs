// Biome for AssemblyScript: it cannot parse a decorator before a function (@inline, @external), so it gets copies in which such a line is
// a comment of the same place and length, and what it wrote goes back.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root, runNode } from "./run.mjs";
import { files } from "./steps.mjs";

const hidden = "//:@";
const hide = (text) => text.replaceAll(/^(\s*)@(?=\w)/gm, `$1${hidden}`);
const show = (text) => text.replaceAll(hidden, "@");

/** What AssemblyScript means otherwise than TypeScript: == is what === is, u64 is exact, decorated imports need a ts-ignore. */
const config = {
  formatter: JSON.parse(readFileSync(join(root, "biome.json"), "utf8")).formatter,
  linter: {
    rules: {
      complexity: { noStaticOnlyClass: "off" },
      correctness: { noPrecisionLoss: "off", noVoidTypeReturn: "off" },
      style: { useImportType: "off" },
      suspicious: { noAssignInExpressions: "off", noDoubleEquals: "off", noTsIgnore: "off", noDuplicateEnumValues: "off" },
    },
  },
};

export async function checkAssemblyScript({ fix = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "hvkit-check-"));
  const folders = ["hv", "test/hostile", "test/entry"];
  const sources = folders.flatMap((folder) => files(folder, ".ts").filter((path) => !path.endsWith(".test.ts")));
  try {
    for (const path of sources) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), hide(readFileSync(join(root, path), "utf8")));
    }
    writeFileSync(join(folder, "biome.json"), `${JSON.stringify(config, null, 2)}\n`);
    await runNode("@biomejs/biome/bin/biome", [
      "check",
      ...(fix ? ["--write"] : []),
      "--max-diagnostics=50",
      `--config-path=${folder}`,
      ...["hv", "test"].map((name) => join(folder, name)),
    ]);
  } finally {
    if (fix) for (const path of sources) writeBack(folder, path);
    rmSync(folder, { recursive: true });
  }
}

function writeBack(folder, path) {
  const written = show(readFileSync(join(folder, path), "utf8"));
  if (written !== readFileSync(join(root, path), "utf8")) writeFileSync(join(root, path), written);
}
