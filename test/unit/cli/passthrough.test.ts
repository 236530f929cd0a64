// Which words of a command line are a guest's command.
import { beforeAll, describe, expect, it } from "vitest";
import { ownWords, passedThrough } from "../../../control/src/cli/passthrough.js";
import { makeProgram } from "../../../control/src/cli/program.js";

describe("the words of a guest's command", () => {
  let program: Awaited<ReturnType<typeof makeProgram>>;
  beforeAll(async () => {
    program = await makeProgram({ names: ["exec", "ps"] });
  });

  it.each([
    ["exec web ls -la /", "exec web -- ls -la /"],
    ["exec web uname", "exec web -- uname"],
    ["exec web -e A=1 -- cmd -x", "exec web -e A=1 -- cmd -x"],
    ["exec web -e A=1 cmd -x", "exec web -e A=1 -- cmd -x"],
    ["exec -e A=1 web cmd -e B", "exec -e A=1 web -- cmd -e B"],
    ["exec --env A=1 --env=B=2 -eC=3 web cmd", "exec --env A=1 --env=B=2 -eC=3 web -- cmd"],
    ["exec -nw /tmp web cmd", "exec -nw /tmp web -- cmd"],
    ["exec -n web cmd", "exec -n web -- cmd"],
    ["--instance two exec web --url x ls --json", "--instance two exec web --url x -- ls --json"],
    ["exec web --json --wait 3 env -- -i", "exec web --json --wait 3 -- env -- -i"],
    ["exec web ls --instance two", "exec web -- ls --instance two"],
    ["exec --help", "exec --help"],
    ["exec web", "exec web"],
    ["exec web -x", "exec web -x"],
    ["exec web - x", "exec web -- - x"],
    ["ps web x", "ps web x"],
    ["nothing web x", "nothing web x"],
    ["", ""],
  ])("%s", (text, expected) => {
    const words = text.split(" ");
    expect(passedThrough(words, program)).toEqual(expected.split(" "));
    // Once is enough.
    expect(passedThrough(expected.split(" "), program)).toEqual(expected.split(" "));
  });

  it("are not hvkit's: a --json among them is not", () => {
    expect(ownWords(["exec", "web", "--", "ls", "--json"])).toEqual(["exec", "web"]);
    expect(ownWords(["ps", "--json"])).toEqual(["ps", "--json"]);
  });
});
