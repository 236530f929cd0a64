// examples/kernel-module as its reader runs it.
import { expect, test } from "vitest";
import { copyExample, exampleProblem, runExample } from "./copy.js";

const problem = exampleProblem();
if (problem !== undefined) process.stderr.write(`examples: kernel-module is skipped: ${problem}\n`);

test.skipIf(problem !== undefined)(
  "kernel-module: its tests pass, in guests; one of them panics",
  ({ skip }) => {
    const { skipped, ...ran } = runExample(copyExample("kernel-module"), 400_000);
    // A package that the mirror has no more: the kernel here is older than the headers there.
    if (skipped !== undefined) {
      process.stderr.write(`examples: kernel-module is skipped: ${skipped}\n`);
      skip(skipped);
    }
    expect(ran).toMatchObject({ status: 0, passed: 3, total: 3 });
  },
  420_000,
);
