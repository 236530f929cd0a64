// The layout table of the machine's state region, read from the source itself: hv/machine/state.ts says which record lies where, the
// @unmanaged classes say what is in it. One entry a record: {record, class, address, bytes, fields: [{name, offset, type, count}]}.
// Numbered fields (cells0, cells1, ...) are one array. A field that is new since a snapshot was taken starts with 0 where its comment
// has the tag @zero; the table then says {zero: true}. The build writes it to build/layout.json, which the control plane puts into
// snapshots. Run it to print the table; test/unit/machine/devices/layout.test.ts holds it against the compiler's own offsets.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const stateFile = "hv/machine/state.ts";

const typeBytes = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, usize: 4, u64: 8, i64: 8 };

/**
 * @typedef {{ name: string, offset: number, type: string, count: number, zero?: true }} Field
 * @typedef {{ record: string, class: string, address: number, bytes: number, fields: Field[] }} StateRecord
 */

/**
 * The table, in the order of state.ts.
 * @param {string} [folder] with other sources: a path in the repository that ends with "/"
 * @returns {StateRecord[]}
 */
export function layout(folder = "") {
  const source = parse(folder + stateFile);
  const world = { enums: new Map(), classes: new Map(), constants: new Map() };
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement))
      readDeclarations(parse(join(folder, dirname(stateFile), `${statement.moduleSpecifier.text}.ts`)), world);
  }
  const records = [vcpuRecord(world)];
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (isCall(initializer, "changetype")) records.push(record(name.text, initializer, world));
      else world.constants.set(name.text, evaluate(initializer, world));
    }
  }
  return records;
}

/**
 * Where the region begins and ends (Layout of hv/machine/layout.ts).
 * @returns {{ start: number, end: number }}
 */
export function region() {
  const world = { enums: new Map(), classes: new Map(), constants: new Map() };
  readDeclarations(parse("hv/machine/layout.ts"), world);
  const { Region, RegionEnd } = world.enums.get("Layout");
  return { start: Region, end: RegionEnd };
}

/** The region, its records, and an identity that changes with them and with nothing else. */
export function layoutOf(folder) {
  const table = { region: region(), records: layout(folder) };
  const identity = createHash("sha256").update(JSON.stringify(table)).digest("hex").slice(0, 16);
  return { identity, ...table };
}

/** build/layout.json. */
export function writeLayout(output) {
  writeFileSync(join(root, output), `${JSON.stringify(layoutOf(), null, 1)}\n`);
}

function parse(path) {
  return ts.createSourceFile(path, readFileSync(join(root, path), "utf8"), ts.ScriptTarget.ESNext, true);
}

function readDeclarations(source, world) {
  for (const statement of source.statements) {
    if (ts.isEnumDeclaration(statement)) {
      world.enums.set(statement.name.text, Object.fromEntries(statement.members.map((m) => [m.name.text, evaluate(m.initializer, world)])));
    } else if (ts.isClassDeclaration(statement) && isUnmanaged(statement)) {
      world.classes.set(statement.name.text, classFields(statement));
    }
  }
}

function isUnmanaged(node) {
  return (ts.getDecorators(node) ?? []).some((decorator) => decorator.expression.getText() === "unmanaged");
}

/** Fields at their natural alignment, in order: AssemblyScript's own rule. */
function classFields(node) {
  let end = 0;
  const fields = [];
  for (const member of node.members) {
    if (!ts.isPropertyDeclaration(member)) continue;
    const name = member.name.getText();
    const type = member.type?.getText();
    const bytes = typeBytes[type];
    if (bytes === undefined) throw new Error(`${node.name.text}.${name}: a record holds plain numbers, not ${type}`);
    const offset = Math.ceil(end / bytes) * bytes;
    end = offset + bytes;
    const zero = ts.getJSDocTags(member).some((tag) => tag.tagName.text === "zero");
    fields.push({ name, offset, type, ...(zero ? { zero } : {}) });
  }
  return { bytes: end, fields };
}

function record(name, call, { classes, ...world }) {
  const className = call.typeArguments[0].getText();
  const found = classes.get(className);
  if (found === undefined) throw new Error(`${stateFile}: ${name} is of a class ${className} that no import declares @unmanaged`);
  const address = evaluate(call.arguments[0], { classes, ...world });
  return { record: name, class: className, address, bytes: found.bytes, fields: foldArrays(found.fields) };
}

/** The general registers, which hv/asm knows by VcpuRecord's offsets: u64 each, up to the next one. */
function vcpuRecord({ enums }) {
  const { End, ...offsets } = enums.get("VcpuRecord");
  const entries = Object.entries(offsets);
  const fields = entries.map(([name, offset], index) => {
    const end = index + 1 < entries.length ? entries[index + 1][1] : End;
    return { name: name[0].toLowerCase() + name.slice(1), offset, type: "u64", count: (end - offset) / 8 };
  });
  return { record: "vcpu", class: "VcpuRecord", address: enums.get("Layout").Region, bytes: End, fields };
}

/** name0, name1, ... of one type, in a row. */
function foldArrays(fields) {
  const folded = [];
  let array;
  for (const field of fields) {
    const [, stem, index] = /^(.*?\D)(\d+)$/.exec(field.name) ?? [];
    if (
      array !== undefined &&
      stem === array.name &&
      field.type === array.type &&
      field.zero === array.zero &&
      Number(index) === array.count
    ) {
      array.count++;
      continue;
    }
    array = index === "0" ? { ...field, name: stem, count: 1 } : undefined;
    folded.push(array ?? { ...field, count: 1 });
  }
  return folded;
}

/** A constant expression of state.ts. */
function evaluate(node, world) {
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (ts.isParenthesizedExpression(node)) return evaluate(node.expression, world);
  if (ts.isIdentifier(node) && world.constants.has(node.text)) return world.constants.get(node.text);
  if (ts.isPropertyAccessExpression(node)) {
    const value = world.enums.get(node.expression.getText())?.[node.name.text];
    if (value !== undefined) return value;
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.TildeToken) return ~evaluate(node.operand, world);
  if (isCall(node, "offsetof")) {
    const found = world.classes.get(node.typeArguments[0].getText());
    if (found !== undefined) return found.bytes;
  }
  if (ts.isBinaryExpression(node)) {
    const [left, right] = [evaluate(node.left, world), evaluate(node.right, world)];
    if (node.operatorToken.kind === ts.SyntaxKind.PlusToken) return left + right;
    if (node.operatorToken.kind === ts.SyntaxKind.MinusToken) return left - right;
    if (node.operatorToken.kind === ts.SyntaxKind.AsteriskToken) return left * right;
    if (node.operatorToken.kind === ts.SyntaxKind.AmpersandToken) return left & right;
  }
  const where = `${relative(root, node.getSourceFile().fileName)}: ${node.getText()}`;
  throw new Error(`${where}: not a constant that the layout table understands`);
}

function isCall(node, name) {
  return node !== undefined && ts.isCallExpression(node) && node.expression.getText() === name && node.typeArguments?.length === 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(layout(), null, 2));
