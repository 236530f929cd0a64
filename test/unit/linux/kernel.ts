// A Linux kernel that never was, in RAM: page tables of its own, the page that says where its log lies, and the ring of printk, which is written
// as the kernel writes it.
import type { MachineView } from "../../../control/src/inspect/view.js";

const KERNEL_MAP = 0xffff_ffff_8000_0000n;
export const MIB = 2 ** 20;
/** guest-physical; linear addresses are these above KERNEL_MAP, and above it by the slide */
const AT = { tables: 0x20_0000, prb: 0x30_0000, ring: 0x30_0100, descriptors: 0x31_0000, infos: 0x32_0000, text: 0x34_0000 } as const;
export const INFO_AT = 0x3f_0000;
const [DESCRIPTOR, INFO] = [24, 88];

export interface Message {
  text: string;
  ns?: bigint;
  level?: number;
  facility?: number;
  /** 0 reserved, 1 committed, 2 finalized, 3 reusable */
  state?: number;
}

export interface KernelOptions {
  /** powers of two */
  countBits?: number;
  sizeBits?: number;
  /** by how much it has moved itself in its linear addresses, not in RAM */
  slide?: bigint;
  /** of the first message's descriptor */
  firstId?: bigint;
  /** a last_finalized_seq stands in the ring of descriptors, as since 6.8 */
  newer?: boolean;
  ramBytes?: number;
}

export class Kernel {
  readonly ram: Buffer;
  #id: bigint;
  #position = 0n;
  #seq = 0n;
  readonly #firstId: bigint;
  readonly count: number;
  readonly size: number;
  readonly #textRing: number;

  constructor(private readonly options: KernelOptions = {}) {
    const { countBits = 3, sizeBits = 10, firstId = 7n, newer = true, slide = 0n, ramBytes = 4 * MIB } = options;
    this.ram = Buffer.alloc(ramBytes);
    this.count = 2 ** countBits;
    this.size = 2 ** sizeBits;
    this.#firstId = firstId;
    this.#id = firstId;
    this.#textRing = newer ? 48 : 40;
    // 4-level: the last 2 GiB, by pages of 2 MiB, where the slide begins.
    const { tables } = AT;
    const u64 = (at: number, value: bigint): void => void this.ram.writeBigUInt64LE(value, at);
    u64(tables + 511 * 8, BigInt(tables + 0x1000) | 3n);
    u64(tables + 0x1000 + 510 * 8, BigInt(tables + 0x2000) | 3n);
    const first = Number(slide >> 21n);
    for (let page = 0; page < 4 && first + page < 512; page++)
      u64(tables + 0x2000 + (first + page) * 8, (BigInt(page) << 21n) | 0x80000000000001e3n);
    u64(AT.prb, this.linear(AT.ring));
    this.ram.writeUInt32LE(countBits, AT.ring);
    u64(AT.ring + 8, this.linear(AT.descriptors));
    u64(AT.ring + 16, this.linear(AT.infos));
    u64(AT.ring + 24, firstId);
    u64(AT.ring + 32, firstId);
    this.ram.writeUInt32LE(sizeBits, AT.ring + this.#textRing);
    u64(AT.ring + this.#textRing + 8, this.linear(AT.text));
    this.tell(this.lines());
  }

  linear(physical: number): bigint {
    return KERNEL_MAP + (this.options.slide ?? 0n) + BigInt(physical);
  }

  /** printk */
  write({ text, ns = 0n, level = 6, facility = 0, state = 2 }: Message): this {
    const { ram, count, size } = this;
    const id = this.#id++;
    const index = Number(id % BigInt(count));
    const bytes = Buffer.from(text, "latin1");
    const space = (8 + bytes.length + 7) & ~7;
    let begin = this.#position;
    let data = Number(begin % BigInt(size));
    let next = begin + BigInt(space);
    if (data + space > size) {
      // What the end would cut goes to the beginning.
      next = (begin / BigInt(size) + 1n) * BigInt(size) + BigInt(space);
      data = 0;
    }
    if (bytes.length === 0) [begin, next] = [3n, 3n];
    else {
      this.#position = next;
      ram.writeBigUInt64LE(id, AT.text + data);
      ram.set(bytes, AT.text + data + 8);
    }
    const descriptor = AT.descriptors + index * DESCRIPTOR;
    ram.writeBigUInt64LE((BigInt(state) << 62n) | id, descriptor);
    ram.writeBigUInt64LE(begin, descriptor + 8);
    ram.writeBigUInt64LE(next, descriptor + 16);
    const info = AT.infos + index * INFO;
    ram.writeBigUInt64LE(this.#seq++, info);
    ram.writeBigUInt64LE(ns, info + 8);
    ram.writeUInt16LE(bytes.length, info + 16);
    ram.writeUInt8(facility, info + 18);
    ram.writeUInt8((level << 5) | 1, info + 19);
    ram.writeBigUInt64LE(id, AT.ring + 24);
    const tail = id - this.#firstId >= BigInt(count) ? id - BigInt(count) + 1n : this.#firstId;
    ram.writeBigUInt64LE(tail, AT.ring + 32);
    return this;
  }

  /** VMCOREINFO as 6.1 has it, as far as it matters. */
  lines(): string[] {
    const hex = (physical: number): string => this.linear(physical).toString(16);
    return [
      "OSRELEASE=6.1.0-test",
      "PAGESIZE=4096",
      `SYMBOL(swapper_pg_dir)=${hex(AT.tables)}`,
      `NUMBER(phys_base)=${-(this.options.slide ?? 0n)}`,
      `SYMBOL(prb)=${hex(AT.prb)}`,
      "SIZE(printk_ringbuffer)=88",
      "OFFSET(printk_ringbuffer.desc_ring)=0",
      `OFFSET(printk_ringbuffer.text_data_ring)=${this.#textRing}`,
      "OFFSET(prb_desc_ring.count_bits)=0",
      "OFFSET(prb_desc_ring.descs)=8",
      "OFFSET(prb_desc_ring.infos)=16",
      "OFFSET(prb_desc_ring.head_id)=24",
      "OFFSET(prb_desc_ring.tail_id)=32",
      `SIZE(prb_desc)=${DESCRIPTOR}`,
      "OFFSET(prb_desc.state_var)=0",
      "OFFSET(prb_desc.text_blk_lpos)=8",
      "OFFSET(prb_data_blk_lpos.begin)=0",
      "OFFSET(prb_data_blk_lpos.next)=8",
      `SIZE(printk_info)=${INFO}`,
      "OFFSET(printk_info.seq)=0",
      "OFFSET(printk_info.ts_nsec)=8",
      "OFFSET(printk_info.text_len)=16",
      "OFFSET(prb_data_ring.size_bits)=0",
      "OFFSET(prb_data_ring.data)=8",
    ];
  }

  /** What it says of itself. */
  tell(lines: readonly string[], at = INFO_AT): this {
    this.ram.fill(0, at, at + 4096);
    this.ram.write(`${lines.join("\n")}\n`, at, "latin1");
    return this;
  }

  /** Words of the ring and what is behind it, for damage. */
  static readonly places = AT;

  get view(): MachineView {
    const { ram } = this;
    const nothing = (): never => {
      throw new Error("its devices are not asked");
    };
    return {
      name: "web",
      memory: { bytes: ram.length, read: async (at, length) => ram.subarray(at, at + length) },
      registers: async () => ({}),
      machine: nothing,
    };
  }
}
