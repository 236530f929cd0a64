// The two 8259As in words (Intel 231468): which inputs ask, which are served, which are masked; and what becomes of a request.
import type { Records } from "../view.js";
import { bitsOf, recordOf } from "./record.js";

/** What is wired to the inputs of a PC, as far as this machine has it. */
export const irqNames: Readonly<Record<number, string>> = { 0: "timer", 1: "keyboard", 2: "cascade", 3: "COM2", 4: "COM1", 8: "RTC" };

export const irqText = (irq: number): string => (irqNames[irq] === undefined ? `IRQ${irq}` : `IRQ${irq} (${irqNames[irq]})`);

export interface PicState {
  chip: "master" | "slave";
  /** an ICW1 was written: before that a guest has set no vectors, and all inputs are masked */
  initialized: boolean;
  /** the initialization word that it waits for; until it comes nothing is delivered */
  expects: "ICW2" | "ICW3" | "ICW4" | null;
  /** of its input 0 */
  vector: number;
  /** its output INT */
  int: boolean;
  // IRQ numbers: 0 to 7 of the master, 8 to 15 of the slave
  requested: number[];
  inService: number[];
  masked: number[];
  /** the level at the input is high now */
  high: number[];
  levelTriggered: number[];
  /** the IRQ that gives way to all others */
  lowest: number;
  autoEoi: boolean;
  specialMask: boolean;
  reads: "IRR" | "ISR";
}

const ICW1_SELECT = 0x10;
const ICW1_LEVEL = 0x08;
const ICW4_AUTO_EOI = 0x02;
const ICW4_NESTED = 0x10;
const CASCADE = 2;

export interface Pics {
  master: PicState;
  slave: PicState;
  /** what becomes of a request of this IRQ */
  fate(irq: number): IrqFate;
}

/** "taken": it is the CPU's turn. The others say what keeps a request from the CPU; `by` is the IRQ in service that does. */
export type IrqFate =
  | { kind: "idle" | "taken" | "masked" | "cascade-masked" | "not-initialized" | "initializing" }
  | { kind: "in-service"; by: number };

export function picsOf(records: Records): Pics {
  const chip = (name: "master" | "slave", record: string, first: number) => {
    const { number } = recordOf(records, record);
    const irqs = (field: string): number[] => bitsOf(number(field)).map((input) => first + input);
    const icw1 = number("icw1");
    const state: PicState = {
      chip: name,
      initialized: (icw1 & ICW1_SELECT) !== 0,
      expects: ([2, 3, 4] as const).includes(number("expected") as 2) ? (`ICW${number("expected")}` as "ICW2") : null,
      vector: number("base"),
      int: number("int") !== 0,
      requested: irqs("irr"),
      inService: irqs("isr"),
      masked: irqs("imr"),
      high: irqs("lines"),
      levelTriggered: icw1 & ICW1_LEVEL ? Array.from({ length: 8 }, (_, input) => first + input) : irqs("elcr"),
      lowest: first + (number("lowest") & 7),
      autoEoi: (number("icw4") & ICW4_AUTO_EOI) !== 0,
      specialMask: number("specialMask") !== 0,
      reads: number("readIsr") ? "ISR" : "IRR",
    };
    return { state, nested: (number("icw4") & ICW4_NESTED) !== 0 };
  };
  const master = chip("master", "picMaster", 0);
  const slave = chip("slave", "picSlave", 8);
  const fate = (irq: number): IrqFate => {
    const own = irq < 8 ? master : slave;
    const found = fateAt(own.state, irq, false);
    if (irq < 8 || found.kind !== "taken") return found;
    const upper = fateAt(master.state, CASCADE, master.nested);
    return upper.kind === "masked" ? { kind: "cascade-masked" } : upper;
  };
  return { master: master.state, slave: slave.state, fate };
}

function fateAt(chip: PicState, irq: number, nested: boolean): IrqFate {
  if (!chip.requested.includes(irq) && !(irq === CASCADE && chip.chip === "master")) return { kind: "idle" };
  if (chip.expects !== null) return { kind: "initializing" };
  if (chip.masked.includes(irq)) return { kind: chip.initialized ? "masked" : "not-initialized" };
  // What is served keeps back its own input and those with less priority; rank 0 comes first.
  const rank = (which: number): number => (which - chip.lowest - 1 + 16) & 7;
  const blocking = chip.inService.filter(
    (served) => rank(served) <= rank(irq) && !(chip.specialMask && chip.masked.includes(served)) && !(nested && served === CASCADE),
  );
  const [by] = blocking.sort((a, b) => rank(a) - rank(b));
  return by === undefined ? { kind: "taken" } : { kind: "in-service", by };
}

/** Why a request does not come to the CPU, as a clause; undefined: nothing at the controllers keeps it. */
export function fateText(irq: number, fate: IrqFate): string | undefined {
  const name = irq < 8 ? "master" : "slave";
  switch (fate.kind) {
    case "masked":
      return `${irqText(irq)} is masked in the ${name} PIC's IMR (bit ${irq & 7} of port ${irq < 8 ? "21h" : "A1h"})`;
    case "cascade-masked":
      return `${irqText(irq)} comes through the cascade, IRQ2, which is masked in the master PIC's IMR (bit 2 of port 21h)`;
    case "not-initialized":
      return `the ${name} PIC was never initialized (no ICW1 was written to it): all its inputs are masked`;
    case "initializing":
      return `the ${name} PIC's initialization is not complete: it waits for another ICW`;
    case "in-service":
      return `${irqText(fate.by)} is still in service: no EOI was written for it, which keeps back ${fate.by === irq ? "the next one" : irqText(irq)}`;
    case "idle":
    case "taken":
      return undefined;
  }
}
