// XXH64 (seed 0) of bytes here: to compare with GuestDigest, the end-to-end check of every image, and in snapshots.
import xxhash, { type XXHashAPI } from "xxhash-wasm";

/** xxhash-wasm copies its input into a Wasm memory that only grows: feed it pieces. */
const PIECE_BYTES = 1 << 20;

/** Takes bytes one part after the other. */
export interface Digest {
  update(bytes: Uint8Array): void;
  digest(): bigint;
}

let api: Promise<XXHashAPI> | undefined;

/** What starts a digest without waiting: the hash is itself a Wasm module, which takes a moment to load. */
export async function loadDigest(): Promise<() => Digest> {
  api ??= xxhash();
  const { create64 } = await api;
  return () => {
    const hash = create64(0n);
    return {
      update(bytes) {
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) hash.update(bytes.subarray(at, at + PIECE_BYTES));
      },
      digest: () => hash.digest(),
    };
  };
}

export async function startDigest(): Promise<Digest> {
  return (await loadDigest())();
}

export async function digestOf(...parts: Uint8Array[]): Promise<bigint> {
  const digest = await startDigest();
  for (const part of parts) digest.update(part);
  return digest.digest();
}
