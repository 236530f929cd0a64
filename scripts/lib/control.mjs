// The control plane to JavaScript: each file by itself, without its types. Types are `npm run check`'s: a build need not wait for them.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { root } from "./run.mjs";
import { digest, files } from "./steps.mjs";

const output = "build/js";
const sources = () => [...files("control/src", ".ts"), ...files("protocol", ".ts"), "hv/machine/layout.ts"];
const scriptOf = (source) => `${output}/${source.replace(/ts$/, "js")}`;

async function transpile(paths) {
  const { default: ts } = await import("typescript");
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  // One file by itself does not know package.json's "type": say that these are ES modules.
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext };
  // What a file was translated from, so that an edit costs one file.
  const known = join(root, "build/stamps/js.json");
  const before = existsSync(known) ? JSON.parse(readFileSync(known, "utf8")) : {};
  const now = {};
  for (const path of paths) {
    now[path] = digest([path, "scripts/lib/control.mjs"], JSON.stringify(config));
    const script = join(root, scriptOf(path));
    if (now[path] === before[path] && existsSync(script)) continue;
    const fileName = join(root, path);
    const { outputText, sourceMapText } = ts.transpileModule(readFileSync(fileName, "utf8"), { fileName, compilerOptions });
    mkdirSync(dirname(script), { recursive: true });
    writeFileSync(script, outputText);
    writeFileSync(`${script}.map`, withSource(sourceMapText, script, fileName));
  }
  // A source that is gone must not live on in its output.
  const kept = new Set(paths.map(scriptOf));
  for (const script of files(output, ".js")) {
    if (!kept.has(script)) for (const gone of [script, `${script}.map`]) rmSync(join(root, gone), { force: true });
  }
  writeFileSync(known, JSON.stringify(now));
}

/** A map names its source as if it lay beside it; it lies in another folder. */
function withSource(map, script, fileName) {
  return JSON.stringify({ ...JSON.parse(map), sources: [relative(dirname(script), fileName)] });
}

export async function controlPlane(steps) {
  if (!existsSync(join(root, "control/src/cli/main.ts"))) return;
  await steps.step({
    name: `typescript control/src, protocol -> ${output}`,
    inputs: () => ["tsconfig.json", "scripts/lib/control.mjs", ...sources()],
    outputs: [`${output}/control/src/cli/main.js`],
    run: () => transpile(sources()),
  });
}
