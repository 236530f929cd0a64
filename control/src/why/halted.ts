// A guest that waits in HLT: what could wake it, and what keeps that from it.
import type { Machine } from "../inspect/devices/machine.js";
import { fateText, irqText } from "../inspect/devices/pic.js";
import type { UartState } from "../inspect/devices/uart.js";
import { standingText } from "./ended.js";
import type { Running, Sample, Standing } from "./evidence.js";
import type { Finding, Rule } from "./finding.js";
import { milliseconds } from "./text.js";

const IRQS = Array.from({ length: 16 }, (_, irq) => irq).filter((irq) => irq !== 2);

/** Halted at three looks of four: what wakes it now and then does a little work. */
const isHalted = ({ samples }: Running): boolean => samples.length > 0 && 4 * haltedLooks(samples) >= 3 * samples.length;
const haltedLooks = (samples: readonly Sample[]): number => samples.filter(({ halted }) => halted).length;
const woke = ({ activity }: Running): boolean => activity.injected > 0n;

export const halted: Rule = ({ state, running, standing }) => {
  if (!standing) return [];
  if (state === "saved") return standing.machine.halted ? waiting(standing, undefined) : [];
  return running && isHalted(running) ? waiting(standing, running) : [];
};

/** @param running undefined: of a snapshot, which was looked at once */
function waiting(standing: Standing, running: Running | undefined): Finding[] {
  const { machine } = standing;
  const kept = [...requests(machine), ...machine.uarts.flatMap(uartBlocked)];
  const evidence = [...standingText(standing), ...(running ? [looksText(running.samples)] : [])];
  if (kept.length > 0) {
    // While something else wakes it, what is kept back need not be what it waits for.
    const certainty = running ? (isWoken(running) ? "possible" : "certain") : machine.timers.length > 0 ? "possible" : "likely";
    return kept.map(({ code, text, hint }) => ({ code, certainty, text: `It waits in HLT, and ${text}.`, evidence, hint }));
  }
  return [idle(running, standing, evidence)];
}

const isWoken = (running: Running): boolean => woke(running) || haltedLooks(running.samples) < running.samples.length;

function looksText(samples: readonly Sample[]): string {
  const looks = haltedLooks(samples);
  return looks === samples.length ? `it was halted at all of ${looks} looks` : `it was halted at ${looks} of ${samples.length} looks`;
}

interface Kept {
  code: string;
  text: string;
  hint: string;
}

/** Interrupts that were asked for, and what keeps them from the CPU. */
function requests({ pics }: Machine): Kept[] {
  return IRQS.flatMap((irq): Kept[] => {
    const fate = pics.fate(irq);
    const why = fateText(irq, fate);
    if (why === undefined) return [];
    if (fate.kind === "in-service") {
      return [
        { code: "no-eoi", text: why, hint: "Write the EOI (20h to port 20h, and to A0h for IRQ8 to IRQ15) at the end of the handler." },
      ];
    }
    const uninitialized = fate.kind === "not-initialized" || fate.kind === "initializing";
    return [
      {
        code: uninitialized ? "pic-not-initialized" : "interrupt-masked",
        text: uninitialized ? `${irqText(irq)} has been raised, but ${why}` : `${why}: it has been raised, and cannot come`,
        hint: uninitialized
          ? "Write ICW1 to ICW4 to ports 20h, 21h, A0h and A1h, then the mask."
          : `Clear bit ${irq & 7} of port ${irq < 8 ? "21h" : "A1h"}${fate.kind === "cascade-masked" ? ", and bit 2 of port 21h" : ""}.`,
      },
    ];
  });
}

/** Input that a serial port does not tell of. */
function uartBlocked(uart: UartState): Kept[] {
  const { port, received, waiting, cause, gateOpen, loopback, enabled, irq, rts } = uart;
  const bytes = received.length + waiting;
  if (bytes === 0 || loopback) return [];
  if (cause !== null && !gateOpen) {
    return [
      {
        code: "uart-gate-closed",
        text: `${port} has input and interrupts for it, but MCR.OUT2 is 0, which keeps IRQ${irq} from the PIC`,
        hint: `Set OUT2, DTR and RTS: write 0Bh to port ${port === "COM1" ? "3FCh" : "2FCh"}.`,
      },
    ];
  }
  if (!enabled.includes("received data")) {
    return [
      {
        code: "uart-interrupt-off",
        text: `${port} has ${bytes} bytes of input, but its IER does not let received data interrupt`,
        hint: `Set bit 0 of port ${port === "COM1" ? "3F9h" : "2F9h"}, or poll the port.`,
      },
    ];
  }
  if (!rts) {
    return [
      {
        code: "uart-rts-off",
        text: `${bytes} bytes of input wait for ${port}, but the guest holds RTS down (MCR bit 1)`,
        hint: `Set RTS: write 0Bh to port ${port === "COM1" ? "3FCh" : "2FCh"}.`,
      },
    ];
  }
  return [];
}

/** A snapshot takes input at the prompt of `open` alone. */
const typeText = (running: Running | undefined): string =>
  running ? "`hvkit console`" : "`type` of `hvkit open`, or `hvkit console` of a guest that `hvkit run --from` makes of it";

/** Nothing is kept back: it sleeps until a timer or input comes, if either can. */
function idle(running: Running | undefined, { machine }: Standing, evidence: string[]): Finding {
  const [timer] = machine.timers;
  const inputs = machine.uarts.filter(
    ({ enabled, gateOpen, irq }) => enabled.includes("received data") && gateOpen && !machine.pics.master.masked.includes(irq),
  );
  const names = inputs.map(({ port }) => port).join(" and ");
  if (timer !== undefined || (running && isWoken(running))) {
    const next =
      timer === undefined ? [] : [`the next timer is the ${timer.source}'s, in ${milliseconds(timer.inNs > 0n ? timer.inNs : 0n)}`];
    return {
      code: "idle",
      certainty: "likely",
      text: `It idles: it halts, and ${timer === undefined ? "interrupts wake" : "a timer wakes"} it${names === "" ? "" : `, or input on ${names}`}.`,
      evidence: [...evidence, ...(running ? [`${running.activity.injected} interrupts were delivered meanwhile`] : []), ...next],
      hint: names === "" ? null : `It may wait for somebody to type: ${typeText(running)}.`,
    };
  }
  if (names !== "") {
    return {
      code: "waits-for-input",
      certainty: "likely",
      text: `It waits for input on ${names}: no timer is armed, and nothing else can wake it.`,
      evidence,
      hint: `Type into it: ${typeText(running)}.`,
    };
  }
  return {
    code: "no-timer",
    certainty: "certain",
    text: "It waits in HLT, and nothing can wake it: no timer is armed, no interrupt is asked for, and no serial port tells of input.",
    evidence: [...evidence, `PIT 0: ${machine.pits[0].state === "idle" ? "no count was written" : `mode ${machine.pits[0].mode}, spent`}`],
    hint: "Program PIT 0 (ports 43h, 40h) or the RTC, or let a serial port interrupt, before HLT.",
  };
}
