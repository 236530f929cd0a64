// The forms of the remote protocol's packets that have arguments: taken apart here, so that stub.ts has only what they mean. Undefined: the
// packet has not the form.
import type { BreakpointType } from "./breakpoints.js";

/** A length that no packet's data could have is no length. */
const MAX_LENGTH = 0xffff_ffff;

export interface Area {
  address: bigint;
  length: number;
}

/** `ADDR,LENGTH` */
export function parseArea(text: string): Area | undefined {
  const [, address, length] = /^([0-9a-f]{1,16}),([0-9a-f]{1,16})$/i.exec(text) ?? [];
  if (address === undefined || length === undefined) return undefined;
  const count = Number.parseInt(length, 16);
  return count <= MAX_LENGTH ? { address: BigInt(`0x${address}`), length: count } : undefined;
}

/** `ADDR,LENGTH:HEX` of M: as many bytes as it says. */
export function parseWrite(text: string): { address: bigint; bytes: Buffer } | undefined {
  const colon = text.indexOf(":");
  const area = parseArea(text.slice(0, Math.max(0, colon)));
  const hex = text.slice(colon + 1);
  if (!area || hex.length !== area.length * 2 || !/^[0-9a-f]*$/i.test(hex)) return undefined;
  return { address: area.address, bytes: Buffer.from(hex, "hex") };
}

/** `ADDR,LENGTH:` and bytes, of X. */
export function parseBinaryWrite(data: Buffer): { address: bigint; bytes: Buffer } | undefined {
  const colon = data.indexOf(":");
  const area = parseArea(data.subarray(0, Math.max(0, colon)).toString("latin1"));
  const bytes = data.subarray(colon + 1);
  return area && bytes.length === area.length ? { address: area.address, bytes } : undefined;
}

/** `TYPE,ADDR,KIND` of Z and z; what may follow (conditions) is not asked for. */
export function parseBreakpoint(text: string): { type: BreakpointType; address: bigint; length: number } | undefined {
  const [, type, rest = ""] = /^([0-4]),([^;]*)$/.exec(text) ?? [];
  const area = parseArea(rest);
  if (type === undefined || !area) return undefined;
  return { type: Number(type) as BreakpointType, ...area };
}

export type Action = "continue" | "step" | "stop";

/** The actions of vCont: there is one thread, so that the first counts. */
export function parseActions(text: string): Action | undefined {
  const [, letter] = /^;([csCSt])[0-9a-f]{0,2}(?::[-0-9a-fp.]+)?(?:;|$)/i.exec(text) ?? [];
  if (letter === undefined) return undefined;
  return letter === "t" ? "stop" : letter.toLowerCase() === "c" ? "continue" : "step";
}

/** `ANNEX:OFFSET,LENGTH` of qXfer. */
export function parseTransfer(text: string): { annex: string; offset: number; length: number } | undefined {
  const [, annex, area = ""] = /^([^:]*):(.*)$/.exec(text) ?? [];
  const range = parseArea(area);
  return annex === undefined || !range ? undefined : { annex, offset: Number(range.address), length: range.length };
}

/** `N=HEX` of P. */
export function parseAssignment(text: string): { number: number; value: Buffer } | undefined {
  const [, number, hex] = /^([0-9a-f]{1,4})=((?:[0-9a-f]{2})+)$/i.exec(text) ?? [];
  if (number === undefined || hex === undefined) return undefined;
  return { number: Number.parseInt(number, 16), value: Buffer.from(hex, "hex") };
}
