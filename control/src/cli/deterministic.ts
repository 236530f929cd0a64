// What `hvkit run --deterministic` does: runs the guests in a machine of their own, shows their consoles, and says by a digest that it was the
// same as before.
import { createHash } from "node:crypto";
import { projectRoot } from "../api/root.js";
import { chooseEngine } from "../doctor/choice.js";
import { collectFacts } from "../doctor/facts.js";
import type { EngineName } from "../engines/engine.js";
import { hex } from "../hex.js";
import { Interrupts } from "../interrupts.js";
import { runScripted, type ScriptedImage } from "../scripted/run.js";
import { exitCodeOf } from "./attach.js";
import { note, printJson, style } from "./output.js";

/** What a guest wrote, as it comes, to standard output. */
interface Show {
  bytes: (guest: number, bytes: Uint8Array) => void;
  /** what was no whole line */
  end: () => void;
}

interface Wanted {
  engine: "auto" | EngineName;
  json: boolean;
}

export async function runDeterministic(images: readonly ScriptedImage[], { engine: wish, json }: Wanted): Promise<void> {
  const { engine } = chooseEngine(await collectFacts(), { engine: wish, accel: "auto" });
  const leaving = new AbortController();
  const interrupts = new Interrupts(() => leaving.abort());
  const show = images.length === 1 ? plain : labelled(labels(images.map(({ image }) => image.slice(image.lastIndexOf("/") + 1))));
  try {
    const run = await runScripted({
      engine,
      images,
      root: projectRoot(),
      signal: leaving.signal,
      ...(json ? {} : { onConsole: show.bytes }),
    });
    show.end();
    const sha256 = createHash("sha256").update(run.line).digest("hex");
    const guests = run.guests.map(({ image, console, end }) => ({
      image,
      console: console.toString("utf8"),
      end: { code: end.code, text: end.text, value: hex(end.value) },
    }));
    if (json) printJson({ engine, bytes: run.line.length, sha256, guests });
    else {
      for (const { image, end } of guests) note(style(`hvkit: ${image} has ended: ${end.text}`, "dim", process.stderr));
      note(style(`hvkit: ${run.line.length} bytes in all, sha256 ${sha256}`, "dim", process.stderr));
    }
    // As of `run` itself: the first guest's.
    const [first] = guests;
    process.exitCode = exitCodeOf({ state: "exited", end: first ? { ...first.end, rip: "0x0" } : null });
  } finally {
    interrupts.close();
  }
}

const plain: Show = { bytes: (_guest, bytes) => void process.stdout.write(bytes), end: () => {} };

/** Of several guests of one image each has its number among them. */
function labels(names: readonly string[]): string[] {
  const isOne = (name: string): boolean => names.indexOf(name) === names.lastIndexOf(name);
  return names.map((name, place) => (isOne(name) ? name : `${name}.${names.slice(0, place + 1).filter((each) => each === name).length}`));
}

/** Whole lines, each with its guest's name. */
function labelled(names: readonly string[]): Show {
  const width = Math.max(...names.map((name) => name.length));
  const rests = names.map(() => "");
  const line = (guest: number, text: string): void => {
    process.stdout.write(`${style(`${(names[guest] ?? "").padEnd(width)} |`, "cyan")} `);
    process.stdout.write(`${text}\n`, "latin1");
  };
  return {
    bytes: (guest, bytes) => {
      const lines = ((rests[guest] ?? "") + Buffer.from(bytes).toString("latin1")).split("\n");
      rests[guest] = lines.pop() ?? "";
      for (const text of lines) line(guest, text);
    },
    end: () => {
      for (const [guest, rest] of rests.entries()) if (rest !== "") line(guest, rest);
    },
  };
}
