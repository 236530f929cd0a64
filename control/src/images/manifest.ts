// An image's manifest, images/NAME/image.json: what it is, and which files of build/images/NAME/ it boots from.
// Read by the catalog; its schema is strict, so that a mistyped key is an error and not a silent default.
import { z } from "zod";
import { GuestKind } from "../../../protocol/messages.js";
import { readSize } from "../api/size.js";
import { HvkitError } from "../errors.js";

/** A file below the image's folder: no absolute path, no way out of the folder. */
const file = z
  .string()
  .regex(/^[\w+-][\w.+-]*(?:\/[\w+-][\w.+-]*)*$/, "expected a relative file name below the image's folder")
  .meta({ description: "file below build/images/NAME/" });

const size = z.string().refine((text) => readSize(text) !== undefined, "expected a size such as 128M");

export const manifestSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "expected lower-case letters, digits and hyphens"),
  description: z.string().min(1),
  kind: z.enum(["linux", "multiboot", "bootsector"]),
  /** guest RAM when `run --memory` does not say */
  memory: size,
  /** {tscKhz} stands for the guest's TSC frequency; `--append` comes after */
  commandLine: z.string().default(""),
  files: z.strictObject({
    kernel: file,
    initrd: file.optional(),
    modules: z.array(z.strictObject({ file, commandLine: z.string().default("") })).default([]),
  }),
  /** what a run of the image shall show; the contract suite checks it */
  expect: z
    .strictObject({
      /** texts that the console shows, in this order */
      console: z.array(z.string()).default([]),
      /** how the guest ends, an end code of control/src/api/ends.ts, for example "power-off" */
      end: z.string().optional(),
      /** the value that goes with it */
      value: z.number().int().nonnegative().optional(),
      /** seconds until then, on the slowest engine */
      seconds: z.number().positive().optional(),
    })
    .optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ImageKind = Manifest["kind"];

export const KIND_NUMBER: Record<ImageKind, GuestKind> = {
  linux: GuestKind.Linux,
  multiboot: GuestKind.Multiboot,
  bootsector: GuestKind.BootSector,
};

/** Checks a manifest's text; `path` names it in errors. */
export function parseManifest(text: string, path: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new HvkitError("E_MANIFEST", `${path}: not JSON: ${(error as Error).message}`, { cause: error, data: { path } });
  }
  const result = manifestSchema.safeParse(json);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `${keyPath(issue.path)}: ${lowerFirst(issue.message)}`);
    throw new HvkitError("E_MANIFEST", `${path}: ${problems.join("; ")}`, {
      hint: "The keys of a manifest are listed in control/src/images/manifest.ts.",
      data: { path, problems },
    });
  }
  checkKind(result.data, path);
  return result.data;
}

/** What the schema alone cannot say: which files belong to which kind. */
function checkKind({ kind, files, commandLine }: Manifest, path: string): void {
  const refuse = (key: string, why: string): never => {
    throw new HvkitError("E_MANIFEST", `${path}: ${key}: ${why}`, { data: { path, problems: [`${key}: ${why}`] } });
  };
  if (kind !== "linux" && files.initrd !== undefined) refuse("files.initrd", `a ${kind} image has no initrd`);
  if (kind !== "multiboot" && files.modules.length > 0) refuse("files.modules", `a ${kind} image has no modules`);
  if (kind === "bootsector" && commandLine !== "") refuse("commandLine", "a bootsector image has no command line");
}

function keyPath(path: PropertyKey[]): string {
  if (path.length === 0) return "the manifest";
  return path.map((key, index) => (typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`)).join("");
}

function lowerFirst(text: string): string {
  return text
    .replace(/^Invalid input: /, "")
    .replace(/^Invalid option: /, "")
    .replace(/^./, (first) => first.toLowerCase());
}
