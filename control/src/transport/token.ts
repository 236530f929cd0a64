// The token that opens a WebSocket on a TCP port (guard.ts): made by the side that listens, kept in a file that only its user can read,
// sent by the side that connects.
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { HvkitError } from "../errors.js";
import { replaceFile } from "../files.js";

const TOKEN_BYTES = 32;
const TOKEN = /^[0-9a-f]{64}$/;

/** 256 random bits, in hexadecimal. */
export const makeToken = (): string => randomBytes(TOKEN_BYTES).toString("hex");

/** A token, by default a new one, in a file that only its user can read. */
export function writeToken(path: string, token = makeToken()): string {
  replaceFile(path, `${token}\n`);
  return token;
}

/** The token in a file, which nobody else may be able to read. Throws E_TOKEN_FILE. */
export function readToken(path: string): string {
  let text: string;
  let mode: number;
  try {
    const file = openSync(path, "r");
    try {
      mode = fstatSync(file).mode;
      text = readFileSync(file, "latin1").trim();
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new HvkitError("E_TOKEN_FILE", `the token cannot be read: ${(error as Error).message}`, {
      hint: "Copy the file that the other side has made, with mode 600.",
      cause: error,
    });
  }
  if ((mode & 0o077) !== 0) {
    throw new HvkitError("E_TOKEN_FILE", `${path} can be read by others: its mode is ${(mode & 0o777).toString(8)}, not 600`, {
      hint: `\`chmod 600 ${path}\`, and make a new token if this machine has other users.`,
    });
  }
  if (!TOKEN.test(text)) {
    throw new HvkitError("E_TOKEN_FILE", `${path} has no token in it`, { hint: "A token is 64 hexadecimal digits on a line." });
  }
  return text;
}

/** What a client sends with its request for an upgrade. */
export const tokenHeaders = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });
