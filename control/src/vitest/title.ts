// A test's whole name, with its file and the groups around it: what its artifacts' folder is called by.
import { basename } from "node:path";

interface Named {
  name: string;
  suite?: Named | undefined;
  file?: { filepath: string } | undefined;
}

export function titleOf(task: Named): string {
  const names: string[] = [];
  for (let at: Named | undefined = task; at?.name; at = at.suite) names.unshift(at.name);
  return [...(task.file ? [basename(task.file.filepath)] : []), ...names].join(" ");
}

/** As a folder's name. */
export function folderName(title: string): string {
  return (
    title
      .replaceAll(/[^\w.-]+/g, "-")
      .replaceAll(/^[-.]+|-+$/g, "")
      .slice(0, 120) || "test"
  );
}
