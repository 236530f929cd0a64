// Numbers as the diagnoses say them.

export const milliseconds = (ns: bigint): string => `${(Number(ns) / 1e6).toFixed(ns < 10_000_000n ? 1 : 0)} ms`;

/** of a count in `ns` */
export const perSecond = (count: bigint, ns: bigint): string => (ns === 0n ? String(count) : `${(count * 1_000_000_000n) / ns} a second`);

export const percent = (part: bigint, whole: bigint): string => (whole === 0n ? "0 %" : `${(part * 100n) / whole} %`);
