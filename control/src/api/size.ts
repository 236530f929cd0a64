// Sizes and addresses as people write them: "128M", "1G", "0x1000". Command line, manifests and daemon read them here alone.
import { HvkitError } from "../errors.js";

const UNITS: Record<string, number> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
export const MIB = 2 ** 20;

/** Bytes of "128M", "128MiB", "1.5G", "4096": powers of 1024. Undefined when it is no size. */
export function readSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (!match) return undefined;
  const bytes = Number(match[1]) * (UNITS[(match[2] ?? "").toLowerCase()] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

export function parseSize(text: string, what = "size"): number {
  const bytes = readSize(text);
  if (bytes === undefined) {
    throw new HvkitError("E_SIZE", `${what} '${text}' is not a size`, { hint: "Write a number with K, M or G, for example 128M." });
  }
  return bytes;
}

/** A whole number, decimal or 0x..., for addresses and lengths; sizes such as 4K too. */
export function parseNumber(text: string, what: string): number {
  if (/^-\d/.test(text)) throw new HvkitError("E_NUMBER", `${what} ${text} is negative`, { hint: "Write it as 4096, 4K or 0x1000." });
  const value = /^0x[0-9a-f]+$/i.test(text) ? Number(text) : (readSize(text) ?? (/^\d+$/.test(text) ? Number(text) : undefined));
  if (value !== undefined && value > Number.MAX_SAFE_INTEGER) {
    throw new HvkitError("E_NUMBER", `${what} ${text} is too large`, {
      hint: `It can be from 0 to 0x${Number.MAX_SAFE_INTEGER.toString(16)}, and a guest's RAM ends far below.`,
    });
  }
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw new HvkitError("E_NUMBER", `${what} '${text}' is not a number`, { hint: "Write it as 4096, 4K or 0x1000." });
  }
  return value;
}

/** "128 MiB", "1.5 GiB", "512 B": three significant digits at most. */
export function showSize(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}
