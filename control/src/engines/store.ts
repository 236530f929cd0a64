// The store disk: a flat, sparse file that the control plane and a running Bochs both see, coherent both ways. Used by bochs.
import { type FileHandle, open } from "node:fs/promises";
import { StoreDisk } from "../../../protocol/store.js";
import { HvkitError } from "../errors.js";
import type { Store } from "./engine.js";

export const SECTOR_BYTES = 512;

export class FileStore implements Store {
  readonly sectors: number;
  readonly #file: FileHandle;
  #closed: Promise<void> | undefined;

  private constructor(file: FileHandle, sectors: number) {
    this.#file = file;
    this.sectors = sectors;
  }

  /** Makes the file; it takes room only where it is written. The disk's last sector has the signature. */
  static async create(path: string, diskSectors: number): Promise<FileStore> {
    const file = await open(path, "wx+", 0o600);
    await file.truncate(diskSectors * SECTOR_BYTES);
    const signature = Buffer.alloc(8);
    signature.writeUInt32LE(StoreDisk.Signature0, 0);
    signature.writeUInt32LE(StoreDisk.Signature1, 4);
    await file.write(signature, 0, signature.length, (diskSectors - 1) * SECTOR_BYTES).catch(full);
    return new FileStore(file, diskSectors - 1);
  }

  async write(sector: number, bytes: Uint8Array): Promise<void> {
    this.#check(sector, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, sector * SECTOR_BYTES + done).catch(full);
      done += bytesWritten;
    }
  }

  async read(sector: number, length: number): Promise<Uint8Array> {
    this.#check(sector, length);
    const result = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#file.read(result, done, length - done, sector * SECTOR_BYTES + done);
      if (bytesRead === 0) throw new HvkitError("E_STORE", "The store disk's file has become shorter than it was.");
      done += bytesRead;
    }
    return result;
  }

  close(): Promise<void> {
    this.#closed ??= this.#file.close();
    return this.#closed;
  }

  #check(sector: number, length: number): void {
    if (sector < 0 || sector * SECTOR_BYTES + length > this.sectors * SECTOR_BYTES) {
      throw new HvkitError("E_STORE", `${length} bytes at sector ${sector} are not inside the store disk of ${this.sectors} sectors.`);
    }
  }
}

function full(error: NodeJS.ErrnoException): never {
  if (error.code !== "ENOSPC") throw error;
  throw new HvkitError("E_DISK_FULL", "The file system of the store disk is full.", {
    hint: "Free some space and try again.",
    cause: error,
  });
}
