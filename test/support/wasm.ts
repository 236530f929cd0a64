// What a Wasm binary says of the functions that it imports and exports: names and signatures (WebAssembly 1.0, 5.5).

export interface Export {
  name: string;
  /** `(i32, i64) -> i32`; nothing after the arrow: no result */
  signature: string;
}

export interface Import extends Export {
  module: string;
}

const TYPE_SECTION = 1;
const IMPORT_SECTION = 2;
const FUNCTION_SECTION = 3;
const EXPORT_SECTION = 7;
const FUNCTION = 0;
const VALUE_TYPES: Record<number, string> = { 127: "i32", 126: "i64", 125: "f32", 124: "f64" };

class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at = 0,
  ) {}

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new Error("the binary ends early");
    return value;
  }

  /** LEB128, unsigned */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.number() }, read);
  }

  text(): string {
    return Buffer.from(this.list(() => this.byte())).toString();
  }

  types(): string {
    return this.list(() => VALUE_TYPES[this.byte()] ?? "?").join(", ");
  }
}

/** In the binary's order. All imports of the kit's modules are functions. */
export function importsOf(wasm: Uint8Array): Import[] {
  return functionsOf(wasm).imports;
}

/** The functions among the exports, in the binary's order. */
export function exportsOf(wasm: Uint8Array): Export[] {
  return functionsOf(wasm).exports;
}

function functionsOf(wasm: Uint8Array): { imports: Import[]; exports: Export[] } {
  const reader = new Reader(wasm, 8);
  let signatures: string[] = [];
  let imports: Import[] = [];
  let exports: Export[] = [];
  let own: string[] = [];
  const signature = (): string => signatures[reader.number()] ?? "?";
  while (reader.at < wasm.length) {
    const section = reader.byte();
    const end = reader.number() + reader.at;
    if (section === TYPE_SECTION) {
      signatures = reader.list(() => {
        reader.byte();
        return `(${reader.types()}) -> ${reader.types()}`.trimEnd();
      });
    } else if (section === IMPORT_SECTION) {
      imports = reader.list(() => {
        const [module, name, kind] = [reader.text(), reader.text(), reader.byte()];
        if (kind !== FUNCTION) throw new Error(`${module}.${name} is not a function`);
        return { module, name, signature: signature() };
      });
    } else if (section === FUNCTION_SECTION) own = reader.list(signature);
    else if (section === EXPORT_SECTION) {
      const all = reader.list(() => ({ name: reader.text(), kind: reader.byte(), index: reader.number() }));
      const functions = all.filter(({ kind }) => kind === FUNCTION);
      exports = functions.map(({ name, index }) => ({ name, signature: own[index - imports.length] ?? "?" }));
    }
    reader.at = end;
  }
  return { imports, exports };
}
