// What a Linux kernel says of itself for the tools that read its memory after a crash (Linux, Documentation/admin-guide/kdump/vmcoreinfo.rst): a page
// of text, lines such as SYMBOL(prb)=ffffffff82a62540 and OFFSET(prb_desc.state_var)=0. It makes the page when it boots, before its drivers.
import type { PagingRegisters, PhysicalMemory } from "../inspect/walk.js";

const PAGE = 4096;
/** what is read at once: a page of it is looked at by its first bytes alone */
const CHUNK = 2 ** 20;
const BEGIN = Buffer.from("OSRELEASE=");
/** where x86-64 maps the kernel's image: arch/x86/include/asm/page_64_types.h */
const KERNEL_MAP = 0xffff_ffff_8000_0000n;
const CR0_PG_PE = 0x8000_0001n;
const CR4_PAE = 0x20n;
const EFER_LONG_NX = 0xd00n;

export class Vmcoreinfo {
  readonly #lines: ReadonlyMap<string, string>;

  /** @param text may be anything: what it does not say is undefined */
  constructor(text: string) {
    this.#lines = new Map(
      text.split("\n").flatMap((line): [string, string][] => {
        const at = line.indexOf("=");
        return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
      }),
    );
  }

  /** "6.1.0-50-cloud-amd64" */
  get release(): string {
    return (this.#lines.get("OSRELEASE") ?? "").replaceAll(/[^\x21-\x7e]/g, "?");
  }

  /** Where it lies, linear, with what the kernel has moved itself by. */
  symbol(name: string): bigint | undefined {
    const text = this.#lines.get(`SYMBOL(${name})`) ?? "";
    return /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
  }

  offset(field: string): number | undefined {
    return this.#number(`OFFSET(${field})`);
  }

  size(type: string): number | undefined {
    return this.#number(`SIZE(${type})`);
  }

  /** The kernel's own page tables, in which it is mapped whatever program runs. Undefined: it does not say where they are. */
  get paging(): PagingRegisters | undefined {
    const root = this.symbol("swapper_pg_dir") ?? this.symbol("init_top_pgt");
    const base = this.#lines.get("NUMBER(phys_base)") ?? "0";
    if (root === undefined || !/^-?\d{1,18}$/.test(base)) return undefined;
    const cr3 = BigInt.asUintN(64, root - KERNEL_MAP + BigInt(base));
    return { cr0: CR0_PG_PE, cr3, cr4: CR4_PAE, efer: EFER_LONG_NX };
  }

  #number(line: string): number | undefined {
    const text = this.#lines.get(line) ?? "";
    return /^\d{1,7}$/.test(text) ? Number(text) : undefined;
  }
}

/** Looks through RAM for the page, from its end down, where a kernel's first pages come from. Undefined: there is none. */
export async function findVmcoreinfo(
  memory: PhysicalMemory,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Vmcoreinfo | undefined> {
  for (let end = memory.bytes; end > 0; end -= CHUNK) {
    const start = Math.max(0, end - CHUNK);
    const bytes = Buffer.from(await memory.read(start, end - start));
    onProgress(memory.bytes - start, memory.bytes);
    for (let at = bytes.indexOf(BEGIN); at >= 0; at = bytes.indexOf(BEGIN, at + 1)) {
      if (at % PAGE !== 0) continue;
      const page = bytes.subarray(at, at + PAGE);
      const text = page.subarray(0, page.indexOf(0) < 0 ? PAGE : page.indexOf(0)).toString("latin1");
      // A file with such lines may lie in RAM, too.
      if (/^PAGESIZE=4096$/m.test(text) && /^SYMBOL\(swapper_pg_dir\)=/m.test(text)) return new Vmcoreinfo(text);
    }
  }
  return undefined;
}
