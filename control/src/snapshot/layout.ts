// This build's layout table of the state region, build/layout.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HvkitError } from "../errors.js";
import { type Layout, layoutSchema } from "./format.js";

/** @param root the project's folder */
export function readLayout(root: string): Layout {
  const path = join(root, "build", "layout.json");
  try {
    return layoutSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new HvkitError("E_NOT_BUILT", `the state region's layout table cannot be read: ${path}`, {
      hint: "Run `npm run build`.",
      cause: error,
    });
  }
}
