// examples/fork as its reader runs it, and docs/tutorial-fork.md, which shows its test piece by piece: the pieces are the file's own lines.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../contract/support/machine.js";
import { scaled } from "../support/scale.js";
import { copyExample, exampleProblem, runExample } from "./copy.js";

const problem = exampleProblem();
if (problem !== undefined) process.stderr.write(`examples: fork is skipped: ${problem}\n`);
const FORKS = scaled(8, 50);

test("fork: the tutorial shows the test as it is", () => {
  const source = readFileSync(join(root, "examples/fork/fork.test.js"), "utf8");
  const blocks = [...readFileSync(join(root, "docs/tutorial-fork.md"), "utf8").matchAll(/^```js\n([\s\S]*?)^```/gm)].map(
    ([, text = ""]) => text,
  );
  expect(blocks.length).toBeGreaterThan(3);
  for (const block of blocks) expect(source).toContain(block);
});

test.skipIf(problem !== undefined)(
  `fork: a booted Linux, ${FORKS} times; a module in each, one of which panics`,
  ({ skip }) => {
    copyExample("kernel-module");
    const { skipped, ...ran } = runExample(copyExample("fork"), 700_000, { FORKS: String(FORKS) });
    if (skipped !== undefined) {
      process.stderr.write(`examples: fork is skipped: ${skipped}\n`);
      skip(skipped);
    }
    expect(ran).toMatchObject({ status: 0, passed: 1, total: 1 });
    const [said] = /fork: \d+ copies of a booted Linux in .*/.exec(ran.stdout) ?? [];
    process.stderr.write(`examples: ${said}\n`);
    expect(said).toMatch(new RegExp(`^fork: ${FORKS} copies of a booted Linux in \\d+ ms: [\\d.]+ ms each$`));
    expect(ran.stdout).toContain("fork: base-1   BUG: kernel NULL pointer dereference");
  },
  720_000,
);
