// The generated layout table against the compiler: a module made for the purpose exports every offset that AssemblyScript uses.
import { expect, test } from "vitest";
import { layout, region } from "../../../../scripts/lib/layout.mjs";
import { compile } from "./compile.js";

const table = layout();
const typeBytes: Record<string, number> = { u8: 1, u16: 2, i32: 4, u32: 4, u64: 8, i64: 8 };

test("every address, size and offset is what the compiler makes of it", { timeout: 120_000 }, () => {
  const questions: { name: string; expression: string; expected: number }[] = [];
  const ask = (expression: string, expected: number) => questions.push({ name: `q${questions.length}`, expression, expected });
  for (const { record, class: name, address, bytes, fields } of table) {
    if (record === "vcpu") continue;
    ask(`changetype<usize>(state.${record})`, address);
    ask(`offsetof<${name}>()`, bytes);
    for (const field of fields) {
      const compiled = field.count > 1 ? `${field.name}${field.count - 1}` : field.name;
      ask(`offsetof<${name}>("${compiled}")`, field.offset + (field.count - 1) * (typeBytes[field.type] ?? 0));
    }
  }
  const devices = classesOf("hv/machine/devices/records");
  const machine = classesOf("hv/machine/records");
  const source = [
    `import * as state from "../../../../hv/machine/state";`,
    `import { ${devices.join(", ")} } from "../../../../hv/machine/devices/records";`,
    ...(machine.length > 0 ? [`import { ${machine.join(", ")} } from "../../../../hv/machine/records";`] : []),
    ...questions.map(({ name, expression }) => `export function ${name}(): usize { return ${expression}; }`),
  ].join("\n");
  const exports = new WebAssembly.Instance(compile("layout", source)).exports as Record<string, () => number>;
  for (const { name, expression, expected } of questions) expect(exports[name]?.(), expression).toBe(expected);
  expect(questions.length).toBeGreaterThan(100);
});

test("records follow each other, naturally aligned, inside the region", () => {
  const { start, end } = region();
  let free = start;
  for (const { record, address, bytes, fields } of table) {
    expect(address, record).toBeGreaterThanOrEqual(free);
    expect(address % 8, record).toBe(0);
    let inside = 0;
    for (const { name, offset, type, count } of fields) {
      const size = typeBytes[type] ?? 0;
      expect(size, `${record}.${name}: ${type}`).toBeGreaterThan(0);
      expect(offset, `${record}.${name}`).toBeGreaterThanOrEqual(inside);
      expect(offset % size, `${record}.${name}`).toBe(0);
      inside = offset + size * count;
    }
    expect(inside, record).toBe(bytes);
    free = address + bytes;
  }
  expect(free).toBeLessThanOrEqual(end);
});

test("names are unique and arrays are folded", () => {
  expect(new Set(table.map(({ record }) => record)).size).toBe(table.length);
  const clock = table.find(({ record }) => record === "rtc");
  expect(clock?.fields.find(({ name }) => name === "cells")).toMatchObject({ type: "u64", count: 16 });
});

function classesOf(file: string): string[] {
  const names = table.filter(({ record }) => record !== "vcpu").map((entry) => entry.class);
  const isDevice = file.includes("devices");
  return [...new Set(names)].filter((name) => ["MachineRecord", "KvmClockRecord"].includes(name) !== isDevice);
}
