// The images that can be run: folders below images/ with a manifest, or any folder that is named by its path.
// The daemon lists them and takes a guest's boot files from here.
import { readdir, readFile, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { didYouMean } from "../api/nearest.js";
import { HvkitError } from "../errors.js";
import { type Manifest, parseManifest } from "./manifest.js";

export interface Image {
  manifest: Manifest;
  /** the folder with the manifest */
  folder: string;
  /** the folder with the files */
  filesFolder: string;
}

export interface CatalogEntry {
  name: string;
  image?: Image;
  /** why it cannot be run: a wrong manifest, or files that are not made yet */
  problem?: HvkitError;
}

export class Catalog {
  /** @param root the project's folder, with images/ and build/images/ below */
  constructor(private readonly root: string) {}

  /** By name, or by the absolute path of a folder that has image.json and the files beside it. */
  async find(reference: string): Promise<Image> {
    const image = isAbsolute(reference) ? await this.#open(reference, reference) : await this.#meant(reference);
    await checkFiles(image);
    return image;
  }

  async list(): Promise<CatalogEntry[]> {
    const folders = await readdir(join(this.root, "images"), { withFileTypes: true }).catch(() => []);
    const names = folders.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    const entries: CatalogEntry[] = [];
    for (const name of names.sort()) {
      const entry: CatalogEntry = { name };
      try {
        entry.image = await this.#named(name);
        await checkFiles(entry.image);
      } catch (error) {
        if (!(error instanceof HvkitError)) throw error;
        if (error.code === "E_NO_IMAGE") continue; // a folder without a manifest: sources that images share
        entry.problem = error;
      }
      entries.push(entry);
    }
    return entries;
  }

  /** A name that there is not may be another's, mistyped. */
  async #meant(name: string): Promise<Image> {
    try {
      return await this.#named(name);
    } catch (error) {
      if (!(error instanceof HvkitError) || error.code !== "E_NO_IMAGE") throw error;
      throw noImage(
        name,
        (await this.list()).map((entry) => entry.name),
      );
    }
  }

  async #named(name: string): Promise<Image> {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw noImage(name);
    const image = await this.#open(join(this.root, "images", name), join(this.root, "build", "images", name));
    if (image.manifest.name !== name) {
      throw new HvkitError(
        "E_MANIFEST",
        `images/${name}/image.json: name: expected '${name}', its folder's name, found '${image.manifest.name}'`,
      );
    }
    return image;
  }

  async #open(folder: string, filesFolder: string): Promise<Image> {
    const path = join(folder, "image.json");
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR")
        throw noImage(folder.startsWith(this.root) ? folder.slice(this.root.length + 8) : folder);
      throw error;
    });
    return { manifest: parseManifest(text, path), folder, filesFolder };
  }
}

/** All that the manifest names, with sizes. */
export async function imageFiles(image: Image): Promise<{ file: string; path: string; bytes: number | undefined }[]> {
  const { kernel, initrd, modules } = image.manifest.files;
  const names = [kernel, ...(initrd === undefined ? [] : [initrd]), ...modules.map((module) => module.file)];
  return Promise.all(
    names.map(async (file) => {
      const path = join(image.filesFolder, file);
      const info = await stat(path).catch(() => undefined);
      return { file, path, bytes: info?.isFile() ? info.size : undefined };
    }),
  );
}

async function checkFiles(image: Image): Promise<void> {
  const missing = (await imageFiles(image)).find(({ bytes }) => bytes === undefined);
  if (!missing) return;
  throw new HvkitError("E_IMAGE_NOT_BUILT", `image '${image.manifest.name}' lacks its file ${missing.path}`, {
    hint: "Make the images with `node scripts/images.mjs`.",
    data: { image: image.manifest.name, file: missing.path },
  });
}

function noImage(reference: string, names: readonly string[] = []): HvkitError {
  return new HvkitError("E_NO_IMAGE", `there is no image '${reference}'`, {
    hint: `${didYouMean(reference, names)}\`hvkit images\` lists them; a folder with an image.json is given by its path, for example ./my-kernel.`,
    data: { image: reference },
  });
}
