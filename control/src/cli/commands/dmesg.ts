// hvkit dmesg: a Linux guest's own log, out of its memory: that of one that runs, has died, or lies in a snapshot.
import { Command, Option } from "@commander-js/extra-typings";
import { type Dmesg, LEVELS, readDmesg, showRecord } from "../../linux/dmesg.js";
import type { LogRecord } from "../../linux/printk.js";
import { note, print, printJson, style } from "../output.js";
import { ProgressBar } from "../progress.js";
import { SUBJECT, withSubject } from "../subject.js";
import { parseCount } from "./disasm.js";

export const dmesg = () =>
  new Command("dmesg")
    .description("print a Linux guest's own log, read out of its memory")
    .argument("<guest-or-snapshot>", SUBJECT)
    .addOption(new Option("-l, --level <level>", "only messages of this level or a more urgent one").choices(LEVELS))
    .option("-n, --number <count>", "the last so many of them", (text) => parseCount(text, 2 ** 20))
    .option("--json", "print {guest, release, lost, records: [{seq, ns, level, facility, text}]}")
    .addHelpText(
      "after",
      `
The guest is not asked: it may hang, have ended or panicked. Its RAM is searched for what the kernel says of itself (VMCOREINFO), so it need
not be one of hvkit's images; 5.10 or newer. What came to the console is in 'hvkit logs'.

Examples:
  hvkit dmesg web
  hvkit dmesg ./web.hvsnap --level warn
  hvkit dmesg snapshot:before-upgrade -n 20`,
    )
    .action(async (guest, { level, number, json }) => {
      await withSubject(guest, async ({ view }) => {
        const found = await search((onProgress) => readDmesg(view, onProgress));
        const most = level === undefined ? LEVELS.length : LEVELS.indexOf(level);
        const wanted = found.records.filter((record) => record.level <= most);
        const records = number === undefined ? wanted : wanted.slice(-number);
        if (json) printJson(dmesgJson(view.name, found, records));
        else for (const record of records) print(emphasis(record));
        if (found.lost > 0) note(`${found.lost} more messages had lost their text`);
      });
    });

export async function search<T>(work: (onProgress: (done: number, total: number) => void) => Promise<T>): Promise<T> {
  const progress = new ProgressBar();
  try {
    return await work((done, total) => progress.show({ stage: "search", done, total }));
  } finally {
    progress.clear();
  }
}

function emphasis(record: LogRecord): string {
  const text = showRecord(record);
  return record.level <= LEVELS.indexOf("err") ? style(text, "red") : text;
}

export function dmesgJson(guest: string, { release, lost }: Dmesg, records: readonly LogRecord[]) {
  return {
    guest,
    release,
    lost,
    records: records.map(({ seq, ns, level, facility, text }) => ({
      seq: String(seq),
      ns: String(ns),
      level: LEVELS[level] ?? String(level),
      facility,
      text,
    })),
  };
}
