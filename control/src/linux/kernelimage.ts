// What a kernel's own image in RAM says of its log, where it has not yet told so (vmcoreinfo.ts): a kernel that died early in its boot. Its table
// of symbols is there (debug/kallsyms.ts), and its types (btf.ts). Both are found by the page tables that the CPU had.
import { readKallsyms } from "../debug/kallsyms.js";
import { HvkitError } from "../errors.js";
import { listMappings } from "../inspect/mappings.js";
import { type MachineView, pagingOf } from "../inspect/view.js";
import type { PagingRegisters } from "../inspect/walk.js";
import { readBtf } from "./btf.js";
import type { Structures } from "./printk.js";

/** where x86-64 maps the image, and up to where */
const [IMAGE, IMAGE_END] = [0xffff_ffff_8000_0000n, 0xffff_ffff_c000_0000n];
/** more is no image: the first tables of a boot map whatever lies behind it, too */
const MOST_BYTES = 128 * 2 ** 20;
const STRUCTURES = ["printk_ringbuffer", "prb_desc_ring", "prb_desc", "prb_data_blk_lpos", "printk_info", "prb_data_ring"];
const BANNER = /^Linux version (\S+)/;

export interface KernelImage extends Structures {
  release: string;
  paging: PagingRegisters;
}

/** Undefined: there is no image of a Linux kernel, or one without symbols or types. */
export async function findImage(view: MachineView): Promise<KernelImage | undefined> {
  const paging = pagingOf(await view.registers());
  const image = await readImage(view, paging);
  const symbols = image && symbolsOf(image.bytes);
  if (!image || !symbols) return undefined;
  const at = (name: string): number => Number((symbols.get(name) ?? 0n) - image.start);
  const [begin, end] = [at("__start_BTF"), at("__stop_BTF")];
  const types = begin >= 0 && end <= image.bytes.length ? readBtf(image.bytes.subarray(begin, end), STRUCTURES) : undefined;
  if (!types) return undefined;
  const banner = image.bytes.subarray(Math.max(0, at("linux_banner")), Math.max(0, at("linux_banner")) + 256).toString("latin1");
  return {
    release: (BANNER.exec(banner)?.[1] ?? "").replaceAll(/[^\x21-\x7e]/g, "?"),
    paging,
    symbol: (name) => symbols.get(name),
    size: (type) => types.get(type)?.size,
    offset: (field) => {
      const [type = "", name = ""] = field.split(".");
      return types.get(type)?.fields.get(name);
    },
  };
}

/** What is mapped of it, in one piece from its first page on; what is not is zeros. */
async function readImage({ memory }: MachineView, paging: PagingRegisters): Promise<{ start: bigint; bytes: Buffer } | undefined> {
  const mappings = await listMappings(memory, paging).catch((error: unknown) => {
    if (error instanceof HvkitError) return []; // no page tables that anybody walks
    throw error;
  });
  const own = mappings.filter(({ linear }) => linear >= IMAGE && linear < IMAGE_END);
  const [first] = own;
  if (!first) return undefined;
  const start = first.linear;
  const parts = own.map(({ linear, ...part }) => ({ ...part, at: Number(linear - start) })).filter(({ at }) => at < MOST_BYTES);
  const bytes = Buffer.alloc(Math.min(MOST_BYTES, Math.max(...parts.map((part) => part.at + part.bytes))));
  for (const { at, physical, bytes: length } of parts) bytes.set(await memory.read(physical, Math.min(length, bytes.length - at)), at);
  return { start, bytes };
}

function symbolsOf(image: Buffer): Map<string, bigint> | undefined {
  try {
    return new Map(readKallsyms(image).map(({ name, address }) => [name, address]));
  } catch (error) {
    if (error instanceof HvkitError && error.code === "E_KERNEL_SYMBOLS") return undefined;
    throw error;
  }
}
