#!/usr/bin/env node
// Brings all that hvkit needs into place, and does nothing twice: Debian packages, npm packages, the build, the guest images.
// Needs nothing but Node.js. `npm start` and `npm test` begin with it; alone: `node scripts/setup.mjs`.
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { installModules } from "./lib/setup/npm.mjs";
import { installPackages } from "./lib/setup/packages.mjs";
import { Report, run, StepFailed } from "./lib/setup/report.mjs";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

const NODE_FLOOR = [20, 20];

export async function setup(report) {
  report.title("setup");
  await report.step("node", async () => checkNode(process.versions.node));
  await report.step("packages", (progress) => installPackages(root, progress));
  await report.step("npm", (progress) => installModules(root, progress));
  await report.step("build", (progress) => script("scripts/build.mjs", progress));
  await report.step("images", (progress) => script("scripts/images.mjs", progress));
}

function checkNode(version) {
  const [major, minor] = version.split(".").map(Number);
  if (major > NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor >= NODE_FLOOR[1])) return version;
  throw new StepFailed(
    `Node.js ${version} is too old: hvkit needs ${NODE_FLOOR.join(".")} or newer (https://nodejs.org, or your system's packages)`,
  );
}

/** Both end with a line such as "build: done in 3.1 s" or "build: up to date (0.1 s)". */
async function script(path, progress) {
  const output = await run(process.execPath, [path], { cwd: root, onLine: progress });
  return output.trimEnd().endsWith("up to date") || /up to date \([^)]*\)\s*$/.test(output) ? "up to date" : "done";
}

/** Ends the process with the failure's text. */
export function fail(error) {
  console.error(error instanceof StepFailed ? `\n${error.message}` : error);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup(new Report()).catch(fail);
