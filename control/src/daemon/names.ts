// Names for guests that were not given one (api/name.ts says which are allowed): an adjective and a person who mattered to operating systems and virtual machines.
import { randomInt } from "node:crypto";

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
