// Makes docs/protocol.md of protocol/*.ts: the frame's rules from the header of link.ts, a table for each enum with its comments, and examples
// that the product's own codec encodes. scripts/protocol.mjs writes it; a test compares, and sends the examples to both ends.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { enumsOf } from "./protocol.mjs";
import { guide, regionOf } from "./protocolguide.mjs";
import { root } from "./run.mjs";

/** Where NASM and the machine meet: of it, what the operations on a guest's parts and its trace speak of. */
const LAYOUT = "hv/machine/layout.ts";

/** The files, in the order of the document, what each is about, and which enums of it are of the protocol (all). */
const CHAPTERS = [
  ["protocol/messages.ts", "Messages"],
  ["protocol/boot.ts", "The boot block"],
  ["protocol/state.ts", "A guest's state"],
  [
    LAYOUT,
    "The machine's memory",
    ["Layout", "ReasonTable", "CpuidTable", "DebuggerRecord", "CopyRecord", "VcpuRecord", "Verdict", "EventBit"],
  ],
  ["protocol/debug.ts", "Debugging"],
  ["protocol/module.ts", "Machine modules"],
  ["protocol/trace.ts", "Recorded exits"],
  ["protocol/module.ts", "Machine modules"],
  ["protocol/store.ts", "The store disk"],
  ["protocol/vcb.ts", "Control blocks"],
  ["protocol/rules.ts", "Rules of an entry"],
];

const oneLine = (text) => text.replace(/\s+/g, " ").trim();
const cell = (text) => oneLine(text).replaceAll("|", "\\|");

/** The comment that stands right before a node, without its stars. */
function docOf(node, source) {
  const [last] = (ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? []).slice(-1);
  const text = last ? source.text.slice(last.pos, last.end) : "";
  if (!text.startsWith("/**")) return "";
  return text
    .slice(3, -2)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""))
    .join("\n")
    .trim();
}

/** A file's enums: name, comment, members with value and comment. */
async function read(path, only) {
  const text = readFileSync(join(root, path), "utf8");
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const values = await enumsOf(path);
  const declared = source.statements.filter(ts.isEnumDeclaration).filter(({ name }) => only?.includes(name.text) ?? true);
  const enums = declared.map((node) => ({
    name: node.name.text,
    doc: docOf(node, source),
    members: node.members.map((member) => ({
      name: member.name.getText(source),
      value: new Map(values.get(node.name.text)).get(member.name.getText(source)),
      doc: docOf(member, source),
    })),
  }));
  return { header: headerOf(text), enums };
}

/** The lines of a file's first comment. */
function headerOf(text) {
  const lines = text.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return lines.slice(0, end).map((line) => line.replace(/^\/\/ ?/, ""));
}

function table({ name, doc, members }) {
  const rows = members.map((member) => `| ${member.value} | \`${member.name}\` | ${cell(member.doc)} |`);
  return [`### ${name}`, "", ...(doc ? [oneLine(doc), ""] : []), "| value | name | |", "|---|---|---|", ...rows, ""];
}

/** An operation's words: those that its comment names, else those of its name. */
function shapeOf({ name, doc }, enums) {
  const named = doc.match(/\b[A-Z]\w+\b/g) ?? [];
  const find = (suffix) => {
    const own = named.find((word) => word.endsWith(suffix) && enums.has(word)) ?? (enums.has(name + suffix) ? name + suffix : undefined);
    return own && { name: own, words: enums.get(own).members.find((member) => member.name === "Words")?.value ?? 0 };
  };
  return { args: find("Args"), reply: find("Reply") };
}

function operations(op, enums) {
  const link = (shape) => (shape ? `[${shape.name}](#${shape.name.toLowerCase()}), ${shape.words}` : "");
  const rows = op.members.map((member) => {
    const { args, reply } = shapeOf(member, enums);
    return `| ${member.value} | \`${member.name}\` | ${link(args) || "none"} | ${link(reply)} | ${cell(member.doc)} |`;
  });
  const head = [
    "### Op",
    "",
    oneLine(op.doc),
    "",
    "| op | name | words of the request | words that each reply has | |",
    "|---|---|---|---|---|",
  ];
  return [...head, ...rows, ""];
}

const hex = (bytes) => Buffer.from(bytes).toString("hex").match(/../g).join(" ");

/** Frames of a first session, as they go over the line: who sends, what it is, its bytes. */
async function examples() {
  const { encodeFrame } = await import(join(root, "build/js/control/src/link/frame.js"));
  const { encodeMessage } = await import(join(root, "build/js/control/src/hypervisor/codec.js"));
  const { Channel, FrameType, Link } = await import(join(root, "build/js/protocol/link.js"));
  const { Op, Status } = await import(join(root, "build/js/protocol/messages.js"));
  const sync = new Uint8Array(Uint32Array.of(Link.Version, 0x11223344).buffer);
  const frame = (fields) => encodeFrame({ seq: 0, ack: 0, channel: 0, credit: 0, payload: new Uint8Array(), ...fields });
  const data = (fields) => frame({ type: FrameType.Data, credit: Link.Window, ...fields });
  const hello = new TextEncoder().encode("hi");
  const ping = encodeMessage(1, Op.Ping, [], hello);
  const pong = encodeMessage(1, Status.Ok, [], hello);
  return [
    ["client", "Sync, epoch 11223344h", frame({ type: FrameType.Sync, payload: sync })],
    ["hypervisor", "SyncAck, the same epoch", frame({ type: FrameType.SyncAck, payload: sync })],
    ["client", 'Data 0: Request, id 1, Ping, "hi"', data({ channel: Channel.Request, payload: ping })],
    ["hypervisor", 'Data 0, ack 1: Reply, id 1, Ok, "hi"', data({ ack: 1, channel: Channel.Reply, payload: pong })],
    ["client", "Ack, ack 1", frame({ type: FrameType.Ack, ack: 1, credit: Link.Window })],
  ].map(([who, what, bytes]) => `| ${who} | ${what} | \`${hex(bytes)}\` |`);
}

export async function protocolDocument() {
  const link = await read("protocol/link.ts");
  const chapters = await Promise.all(CHAPTERS.map(async ([path, title, only]) => ({ path, title, ...(await read(path, only)) })));
  const layout = JSON.parse(readFileSync(join(root, "build/layout.json"), "utf8"));
  const enums = new Map(chapters.flatMap((chapter) => chapter.enums.map((each) => [each.name, each])));
  const version = link.enums.find(({ name }) => name === "Link").members.find(({ name }) => name === "Version").value;
  const body = chapters.flatMap(({ path, title, header, enums: own }) => [
    `## ${title}`,
    "",
    `From \`${path}\`:`,
    "",
    "```text",
    ...header,
    "```",
    "",
    ...own.flatMap((each) => (each.name === "Op" ? operations(each, enums) : table(each))),
    ...(path === LAYOUT ? regionOf(layout) : []),
  ]);
  const text = [
    ...intro(version),
    "## Frames",
    "",
    "From `protocol/link.ts`:",
    "",
    "```text",
    ...link.header,
    "```",
    "",
    ...RULES,
    ...guide,
    "### A first session, byte by byte",
    "",
    "| from | what | bytes |",
    "|---|---|---|",
    ...(await examples()),
    "",
    ...link.enums.flatMap(table),
    ...body,
  ].join("\n");
  return `${text.trimEnd()}\n`;
}

const intro = (version) => [
  "# The protocol",
  "",
  `Version ${version} of what goes over the serial line between the hypervisor and a control plane: all that a client in another language needs. This file is`,
  "made from `protocol/*.ts` by `node scripts/protocol.mjs`, and a test compares: change it there. Numbers are little endian; u32 and u64 are unsigned.",
  "",
  "The line is COM1 of the machine, 8 data bits, no parity, one stop bit, 115,200 baud where a baud rate means something. It may lose, double, flip",
  "and insert bytes, and be cut at any of them; it does not reorder them.",
  "",
];

const RULES = [
  "### COBS",
  "",
  "Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999) takes the zeros out of a frame, so that a 00h can end it. The frame is cut after each",
  "zero, and after 254 bytes without one. A group is sent as a code and its bytes without the zero: code n, 1 to 254, stands for n-1 bytes and a zero;",
  "code 255 for 254 bytes and no zero. The last group's zero is not there: it is added before encoding, and dropped after decoding. A decoder refuses a",
  "code that points past the end. CRC-32C of the ASCII digits `123456789` is E3069283h.",
  "",
  "Two 00h in a row hold no frame and are no error: a sender that starts, or sends something again, sends a 00h first, which closes what noise has left.",
  "",
  "### What a receiver does",
  "",
  "1. Between two 00h: text if it begins with `hvkit: ` (its lines end with LF), else a frame. What is no COBS, too short, too long, has a wrong CRC, or a",
  "   type that is none, is dropped and counted. Nothing is sent because of it.",
  "2. Data and Ack while no session is open are dropped.",
  "3. Of each Data and Ack it takes `ack` and the credit, unless `ack` lies outside of what is in flight.",
  "4. Data whose number is less than the given credit ahead of the expected one is kept, any other dropped. Kept frames are handed on in the order of",
  "   their numbers, each once.",
  "5. Each Data is answered, one that was dropped too, and a probe, which is dropped: by the `ack` of the next Data that goes the other way, or by an Ack when there is none to go. While a",
  "   frame is missing that others have overtaken, an Ack is sent in any case, since only its bits tell them. What came together may be answered together.",
  "6. When there is room for 4 frames more than it has told, it sends an Ack of its own accord.",
  "7. A client that keeps a frame whose turn has not come, and gets nothing for about the time that the line takes there and back, may send an Ack",
  "   with Missing: the hypervisor then sends the first frame in flight again.",
  "",
  "### What a sender does",
  "",
  "1. It numbers Data from 0 in each session, modulo 256, and has at most Window of them in flight, and no more than the peer's credit from the last `ack` on.",
  "2. A frame that was sent before another one that has arrived (by `ack`, or by a bit), and has not arrived itself, is sent again at once.",
  "3. It may send a probe after what it has sent again, with the next of the numbers Probe to 15, and no more than 7 on their way. An Ack with that number",
  "   says that every frame sent before the probe has arrived or is lost; the lost ones are sent again at once.",
  "4. After RetransmitMs without news it sends the first frame in flight again, or, when there was no credit, the first one that waits; then it waits",
  "   twice as long, up to 4 s.",
  "5. A message is never sent in part: it is one frame.",
  "",
  "### Starting",
  "",
  "Whoever starts sends Sync every 250 ms until a SyncAck with its own epoch comes, or a Sync of the peer, which it answers and which opens the session as",
  "well. The hypervisor sends Sync from its start on, and takes a Sync with another epoch at any time: a control plane that comes back begins a new session,",
  "and what was in flight or waited for an answer is void; guests stay. A peer of another version is answered with a SyncAck that names the own version,",
  "and no session opens. Then `Hello` says what the hypervisor is.",
  "",
  "A client whose line was away, and which wants to keep its session, sends Resume every 250 ms instead, and takes no Data and no Ack until a SyncAck comes.",
  "Its epoch is the one of the Sync that began the session, the client's own or the hypervisor's: then both go on, and what is in flight is sent again.",
  "With another one, or after a Sync of an epoch that is new to it, its session is no more. It must not send Sync: that would begin a new session.",
  "",
  "### Requests",
  "",
  "A request has an id of the client's choice, and exactly one reply with that id. Up to 64 wait; they are taken up in their order, but while one takes long",
  "(GuestCreate, GuestLoad, GuestSave, GuestDigest) short ones that have to do with other guests overtake it. A reply other than Ok has as its words the",
  "evidence that [Status](#status) names. Words beyond those of the table are refused (BadRequest) unless the table says that bytes follow.",
  "",
];
