// The documents' sessions are run: every ```console block of README.md and docs/*.md, its commands in order, in one private run
// folder. A line of output that is only "..." stands for any lines, "..." at a line's end for any rest; other lines must match.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const MAIN = "build/js/control/src/cli/main.js";

interface Step {
  command: string;
  expected: string[];
}

function sessions(file: string): Step[][] {
  const blocks = readFileSync(file, "utf8").matchAll(/^```console\n([\s\S]*?)^```/gm);
  return [...blocks].map(([, text = ""]) => {
    const steps: Step[] = [];
    for (const line of text.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), expected: [] });
      else steps.at(-1)?.expected.push(line);
    }
    return steps;
  });
}

/** The expected lines as one pattern over the whole output. */
function pattern(expected: readonly string[]): RegExp {
  const lines = expected.map((line) => {
    if (line === "...") return "(?:.*\n)*?";
    const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return line.endsWith("...") ? `${literal(line.slice(0, -3))}.*\n` : `${literal(line)}\n`;
  });
  return new RegExp(`^${lines.join("")}$`);
}

const files = ["README.md", "CONTRIBUTING.md", ...readdirSync("docs").map((name) => join("docs", name))].filter((name) =>
  name.endsWith(".md"),
);

describe.each(files.map((file) => ({ file, blocks: sessions(file) })).filter(({ blocks }) => blocks.length > 0))("$file", ({ blocks }) => {
  let runtime = "";
  const run = (command: string): { status: number | null; output: string } => {
    const words = command.replace(/^npx hvkit/, `"${process.execPath}" ${MAIN}`);
    const { status, stdout, stderr } = spawnSync("sh", ["-c", words], {
      encoding: "utf8",
      env: { ...process.env, XDG_RUNTIME_DIR: runtime, XDG_DATA_HOME: join(runtime, "data"), NO_COLOR: "1" },
      timeout: 100_000,
    });
    return { status, output: stderr + stdout };
  };

  beforeAll(() => {
    runtime = mkdtempSync(join(tmpdir(), "hvkit-docs-"));
  });
  afterAll(() => {
    run("npx hvkit down");
    rmSync(runtime, { recursive: true, force: true });
  });

  const steps = blocks.flat();
  test.each(steps)("$command", ({ command, expected }) => {
    const { status, output } = run(command);
    expect({ command, status, output }).toMatchObject({ command, status: 0 });
    if (expected.length > 0) expect(output.endsWith("\n") || output === "" ? output : `${output}\n`).toMatch(pattern(expected));
  });
});

test("what the documents link to is there", () => {
  for (const file of files) {
    for (const [, target = ""] of readFileSync(file, "utf8").matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      const path = join(file, "..", target);
      expect(() => statSync(path), `${file} links to ${target}`).not.toThrow();
    }
  }
});
