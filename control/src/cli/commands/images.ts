// hvkit images: what can be run.
import { Command } from "@commander-js/extra-typings";
import type { ImageInfo } from "../../api/schemas.js";
import { showSize } from "../../api/size.js";
import { print, printJson, table } from "../output.js";
import { call } from "../session.js";

export const images = () =>
  new Command("images")
    .description("list the images that can be run")
    .option("--json", "print as JSON")
    .addHelpText(
      "after",
      `
Examples:
  hvkit images

A folder of your own with an image.json is run by its path: 'hvkit run ./my-kernel'.`,
    )
    .action(async ({ json }) => {
      const found = await call("images", {});
      if (json) printJson(found);
      else print(showImages(found));
    });

export function showImages(images: ImageInfo[]): string {
  const rows = images.map(({ name, kind, memoryBytes, bytes, description, problem }) => [
    name,
    kind ?? "-",
    memoryBytes === null ? "-" : showSize(memoryBytes),
    bytes === null ? "-" : showSize(bytes),
    problem ? `${problem.code}: ${problem.message}` : (description ?? ""),
  ]);
  return table(["IMAGE", "KIND", "MEMORY", "SIZE", "DESCRIPTION"], rows, undefined, { whole: ["IMAGE"], spare: ["SIZE", "MEMORY"] });
}
