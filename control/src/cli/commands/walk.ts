// hvkit walk: the way of an address through the guest's page tables, and on through the nested ones, level by level.
import { Command } from "@commander-js/extra-typings";
import { showSize } from "../../api/size.js";
import { parseAddress } from "../../inspect/address.js";
import { faultText } from "../../inspect/memory.js";
import { type NestedPath, nestedPath } from "../../inspect/nested.js";
import { pagingOf } from "../../inspect/view.js";
import { type Walk, walkPages } from "../../inspect/walk.js";
import { print, printJson, table } from "../output.js";
import { requireGuest, SUBJECT, type Subject, withSubject } from "../subject.js";

/** beyond it there are no nested tables */
const PHYSICAL_LIMIT = 2 ** 48;

interface Found {
  walk: Walk;
  tables: "EPT" | "NPT" | null;
  nested: NestedPath[];
}

export const walk = () =>
  new Command("walk")
    .description("show how the page tables translate an address")
    .argument("<guest-or-snapshot>", SUBJECT)
    .argument("<address>", "linear, for example 0xffffffff81000000, rip or rsp")
    .option("--nested", "the nested tables' way for each of the guest's tables too, not only for the address itself")
    .option("--json", "print {guest, mode, linear, entries, physical, pageBytes, rights, fault, tables, nested}")
    .addHelpText(
      "after",
      `
Examples:
  hvkit walk web rip
  hvkit walk web 0xffffffff81000000 --nested
  hvkit walk ./web.hvsnap rsp

Nothing is changed: no accessed or dirty bit is set. Outside of 64-bit mode a linear address has 32 bits.`,
    )
    .action(async (guest, addressText, { nested: all, json }) => {
      if (all) requireGuest(guest, "nested tables", "`hvkit walk` without --nested shows the guest's own.");
      await withSubject(guest, async ({ view, live }) => {
        const registers = await view.registers();
        const linear = await parseAddress(addressText, async () => registers);
        const found = await walkPages(view.memory, pagingOf(registers), linear);
        const wanted = [
          ...(all ? found.entries.map(({ address }) => address) : []),
          ...(found.physical === undefined ? [] : [found.physical]),
        ];
        const result = { walk: found, ...(await nestedPaths(live, wanted)) };
        if (json) printJson({ guest: view.name, ...walkJson(result) });
        else print(showWalk(result));
      });
    });

/** A snapshot has none: its RAM lies in a file. */
async function nestedPaths(live: Subject["live"], addresses: readonly number[]): Promise<Pick<Found, "tables" | "nested">> {
  const nested: NestedPath[] = [];
  let tables: Found["tables"] = null;
  if (!live) return { tables, nested };
  const { client, detail } = live;
  for (const address of addresses.filter((wanted) => wanted < PHYSICAL_LIMIT)) {
    const reply = await client.call("nested", { guest: detail.id, address });
    tables = reply.tables;
    nested.push(nestedPath(address, BigInt(reply.root), reply.entries.map(BigInt)));
  }
  return { tables, nested };
}

const MODES = { none: "paging is off", "32-bit": "32-bit paging", pae: "PAE paging", "4-level": "4-level paging" } as const;

export function showWalk({ walk: { mode, linear, entries, physical, pageBytes, rights, fault }, tables, nested }: Found): string {
  const digits = mode === "4-level" ? 16 : 8;
  const lines = [`linear ${hex(linear, digits)}: ${MODES[mode]}`];
  if (entries.length > 0) {
    const width = mode === "32-bit" ? 8 : 16;
    const rows = entries.map(({ level, address, value, flags }) => [level, hex(address, 9), hex(value, width), words(flags)]);
    lines.push(table(["LEVEL", "ENTRY AT", "VALUE", "FLAGS"], rows));
  }
  if (physical === undefined || pageBytes === undefined) lines.push(`not mapped: ${faultText({ fault, mode })}`);
  else {
    const allowed = rights && mode !== "none" ? `, ${rightsText(rights)}` : "";
    lines.push(`guest-physical ${hex(physical, 9)}${mode === "none" ? "" : `, in a page of ${showSize(pageBytes)}${allowed}`}`);
  }
  for (const path of nested) {
    const rows = path.entries.map(({ level, address, value, flags }) => [level, hex(address, 9), hex(value, 16), words(flags)]);
    lines.push("", `guest-physical ${hex(path.address, 9)}: ${tables ?? "nested tables"}`);
    lines.push(table(["LEVEL", "ENTRY AT", "VALUE", "FLAGS"], rows));
    lines.push(
      path.physical === undefined || path.pageBytes === undefined
        ? "not mapped: the machine has no memory there"
        : `host-physical ${hex(path.physical, 9)}, in a page of ${showSize(path.pageBytes)}`,
    );
  }
  return lines.join("\n");
}

export function walkJson({ walk: { mode, linear, entries, physical, pageBytes, rights, fault }, tables, nested }: Found) {
  const text = (value: bigint | number): string => `0x${value.toString(16)}`;
  const entry = ({
    level,
    address,
    value,
    flags,
  }: {
    level: string;
    address: bigint | number;
    value: bigint;
    flags: readonly string[];
  }) => ({
    level,
    address: text(address),
    value: text(value),
    flags,
  });
  return {
    mode,
    linear: text(linear),
    entries: entries.map(entry),
    physical: physical === undefined ? null : text(physical),
    pageBytes: pageBytes ?? null,
    rights: rights ?? null,
    fault: fault ? { ...fault, address: fault.address === null ? null : text(fault.address), text: faultText({ fault, mode }) } : null,
    tables,
    nested: nested.map((path) => ({
      address: text(path.address),
      entries: path.entries.map(entry),
      physical: path.physical === undefined ? null : text(path.physical),
      pageBytes: path.pageBytes ?? null,
    })),
  };
}

function rightsText({ writable, user, executable }: { writable: boolean; user: boolean; executable: boolean }): string {
  return `${user ? "user and supervisor" : "supervisor only"}, ${writable ? "writable" : "read-only"}, ${executable ? "executable" : "no execute"}`;
}

const words = (flags: readonly string[]): string => (flags.length > 0 ? flags.join(" ") : "none");

function hex(value: bigint | number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
