// The build, as `hvkit dev` uses it: the scripts of the checkout, with a compiler that stays warm.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { HvkitError } from "../errors.js";

/** scripts/lib, as far as it is used here */
interface Scripts {
  BuildError: new (message: string) => Error;
  build(options: { compile: (args: readonly string[]) => Promise<string> }): Promise<number>;
  buildImages(): Promise<number>;
  moduleIdentity(): string;
  buildModule(options: { address: number; compile: (args: readonly string[]) => Promise<string> }): Promise<BuiltModule>;
  WarmCompiler: new () => WarmCompiler;
}

/** A machine module, as `swap` takes it. */
export interface BuiltModule {
  bytes: Uint8Array;
  layout: Record<string, unknown>;
  base: string;
  identity: string;
}

interface WarmCompiler {
  compile(args: readonly string[]): Promise<string>;
  warmUp(entry: string): Promise<void>;
  close(): Promise<void>;
}

export class Toolchain {
  readonly #compiler: WarmCompiler;

  static async load(root: string): Promise<Toolchain> {
    const paths = ["build.mjs", "module.mjs", "warmasc.mjs", "images/images.mjs"].map((name) => join(root, "scripts/lib", name));
    const missing = paths.find((path) => !existsSync(path));
    if (missing !== undefined) {
      throw new HvkitError("E_NO_SOURCES", `hvkit is not in a checkout with its sources: ${missing} is missing`, {
        hint: "`hvkit dev` is for those who change the hypervisor: clone the repository.",
      });
    }
    const loaded = await Promise.all(paths.map((path) => import(pathToFileURL(path).href) as Promise<Partial<Scripts>>));
    return new Toolchain(Object.assign({}, ...loaded) as Scripts);
  }

  private constructor(private readonly scripts: Scripts) {
    this.#compiler = new scripts.WarmCompiler();
  }

  /** The machine is what is changed most. */
  warmUp(): Promise<void> {
    return this.#compiler.warmUp("hv/machine/main.ts");
  }

  /** Brings all up to date: the number of steps that had to be done, or what the build says is wrong. */
  build(images: boolean): Promise<number | { failed: string }> {
    return this.#told(async () => {
      const steps = await this.scripts.build({ compile: (args) => this.#compiler.compile(args) });
      return steps + (images ? await this.scripts.buildImages() : 0);
    });
  }

  /** Of the machine as its sources are now. */
  moduleIdentity(): string {
    return this.scripts.moduleIdentity();
  }

  /** The machine alone, for a place in a hypervisor that runs. */
  module(address: number): Promise<BuiltModule | { failed: string }> {
    return this.#told(() => this.scripts.buildModule({ address, compile: (args) => this.#compiler.compile(args) }));
  }

  async #told<T>(build: () => Promise<T>): Promise<T | { failed: string }> {
    try {
      return await build();
    } catch (error) {
      if (error instanceof this.scripts.BuildError) return { failed: error.message };
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#compiler.close();
  }
}
