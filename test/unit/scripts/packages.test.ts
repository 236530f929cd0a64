// What a machine without apt is told: every program that is missing, by the names that its package manager knows.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { installPackages, NEEDS } from "../../../scripts/lib/setup/packages.mjs";

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return { ...fs, existsSync: (path: string) => !path.startsWith("/usr/bin/apt") && fs.existsSync(path) };
});

let path: string | undefined;
beforeEach(() => {
  path = process.env.PATH;
});
afterEach(() => {
  process.env.PATH = path;
});

describe("without apt", () => {
  test("all that is missing is listed, with the names of Homebrew, dnf, pacman and Debian", async () => {
    process.env.PATH = "/nowhere";
    const error = await installPackages("/nowhere", () => {}).then(
      () => undefined,
      (reason: Error) => reason,
    );
    const [first = "", , header = "", ...rows] = (error?.message ?? "").split("\n");
    expect(first).toMatch(/^apt is not on this system.*Install these, and start again:$/);
    expect(header.split(/ {2,}/)).toEqual(["", "Homebrew", "dnf", "pacman", "apt"]);
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual(
      NEEDS.map(({ what, brew, dnf, pacman, apt }) => [what, brew, dnf, pacman, apt.join(" ")]),
    );
  });

  test("nothing is asked for where all programs are", async () => {
    expect(await installPackages("/nowhere", () => {})).toBe("all programs are there");
  });
});
