// Guests' names: which are allowed, and some for guests that were not given one: an adjective and a person who mattered to operating systems and virtual machines.
import { randomInt } from "node:crypto";
import { HvkitError } from "../errors.js";

const ALLOWED = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

export function checkName(name: string): void {
  if (ALLOWED.test(name)) return;
  throw new HvkitError("E_NAME", `${JSON.stringify(name)} cannot be a guest's name`, {
    hint: "Use 1 to 63 letters, digits, '_', '.' and '-', a letter or digit first.",
    data: { name },
  });
}

const ADJECTIVES = `able agile bold brave bright calm candid clear clever crisp daring deft eager early exact fair fast fine firm
  frank fresh gentle glad grand happy hardy honest keen kind light lively lucid merry mild modest neat noble patient plain polite
  prompt proud quick quiet rapid ready sharp shrewd simple sincere sound spry steady stoic sunny swift tidy vivid warm wise witty`
  .trim()
  .split(/\s+/);

const PEOPLE = `adair bach bartlett bell brinch cerf codd corbato cray creasy daley denning dennis dijkstra engelbart feldman fetch
  goldberg graham hamilton hoare hopper johnson kahn kay kernighan kilburn knuth lamport lampson liedtke liskov lovelace mccarthy
  meyer minsky needham perlman popek ritchie saltzer sutherland tanenbaum thompson turing wilkes wirth zuse`
  .trim()
  .split(/\s+/);

export function generateName(taken: (name: string) => boolean): string {
  const pick = (list: string[]): string => list[randomInt(list.length)] ?? "guest";
  for (let attempt = 0; attempt < 20; attempt++) {
    const name = `${pick(ADJECTIVES)}_${pick(PEOPLE)}`;
    if (!taken(name)) return name;
  }
  for (let number = 2; ; number++) {
    const name = `${pick(ADJECTIVES)}_${pick(PEOPLE)}${number}`;
    if (!taken(name)) return name;
  }
}
