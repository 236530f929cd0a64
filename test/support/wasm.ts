// What a Wasm binary says of its imports: names and signatures, from its type and import sections (WebAssembly 1.0, 5.5.4, 5.5.5).

export interface Import {
  module: string;
  name: string;
  /** `(i32, i64) -> i32`; nothing after the arrow: no result */
  signature: string;
}

const TYPE_SECTION = 1;
const IMPORT_SECTION = 2;
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
  const reader = new Reader(wasm, 8);
  let signatures: string[] = [];
  while (reader.at < wasm.length) {
    const section = reader.byte();
    const end = reader.number() + reader.at;
    if (section === TYPE_SECTION) {
      signatures = reader.list(() => {
        reader.byte();
        return `(${reader.types()}) -> ${reader.types()}`.trimEnd();
      });
    } else if (section === IMPORT_SECTION) {
      return reader.list(() => {
        const [module, name, kind] = [reader.text(), reader.text(), reader.byte()];
        if (kind !== FUNCTION) throw new Error(`${module}.${name} is not a function`);
        return { module, name, signature: signatures[reader.number()] ?? "?" };
      });
    }
    reader.at = end;
  }
  return [];
}
