// Makes oldlayout.hvsnap of a snapshot that this build took: the same guest, as a build with another layout of the state region would
// have saved it. `node test/contract/snapshots/oldlayout.mjs IN OUT`. The file is committed and stays as it is: it stands for an old build,
// and what is added to the records later must let it be restored (the tag @zero, docs/snapshot.md). It was made of
//
//   hvkit run hello64 --memory 4M --name old -d     and, after its third tick,     hvkit snapshot create old old
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../..");
const built = (name) => import(join(root, "build/js/control/src/snapshot", name));
const { BLOCK_BYTES } = await built("format.js");
const { migrate } = await built("migrate.js");
const { readRam, readSnapshot } = await built("reader.js");
const { SnapshotWriter } = await built("writer.js");

const BYTES = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, usize: 4, u64: 8, i64: 8 };

/** Records and fields in the reverse of their order, packed without a gap, after a record that nothing knows any more. */
function oldLayout({ region, records }) {
  let address = region.start;
  const placed = [...records].reverse().map((record) => {
    let offset = 0;
    const fields = [...record.fields].reverse().map((field) => {
      const at = offset;
      offset += BYTES[field.type] * field.count;
      return { ...field, offset: at };
    });
    const from = address;
    address += record.bytes;
    return { ...record, address: from, fields };
  });
  const speaker = { record: "speaker", class: "SpeakerRecord", address, bytes: 6 };
  const fields = [
    { name: "tone", offset: 0, type: "u32", count: 1, zero: true },
    { name: "on", offset: 4, type: "u8", count: 2, zero: true },
  ];
  return { identity: "01d01d01d01d01d0", region, records: [...placed, { ...speaker, fields }] };
}

const [from = "", to = ""] = process.argv.slice(2);
const file = await open(from);
const source = {
  bytes: (await file.stat()).size,
  read: async (at, into) => void (await file.read(into, 0, into.length, at)),
};
const snapshot = await readSnapshot(source);
const layout = oldLayout(snapshot.layout);
const { region, registers } = migrate(snapshot, layout);
const { header, entry, fpu, consoleInput } = snapshot;
const ram = Buffer.alloc(header.memoryBytes);
await readRam(source, snapshot, async (address, bytes) => void ram.set(bytes, address));

const parts = [];
const old = {
  ...header,
  name: "oldlayout",
  description: "a build with another layout",
  engine: { ...header.engine, build: "hvkit old" },
  layout: layout.identity,
};
const writer = await SnapshotWriter.begin(async (bytes) => void parts.push(Buffer.from(bytes)), old);
await writer.state({ registers, ...entry, region, fpu, consoleInput }, layout);
for (let at = 0; at < ram.length; at += BLOCK_BYTES) await writer.ram(at, ram.subarray(at, at + BLOCK_BYTES));
await writer.end();
await writeFile(to, Buffer.concat(parts));
