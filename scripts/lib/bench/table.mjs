// The bench's results for people: one block for each engine.
import { metrics, targetOf, verdictOf } from "./metrics.mjs";

const number = (value) => (Number.isInteger(value) || Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1));

export function showTable(results) {
  return results.map(block).join("\n\n");
}

function block(result) {
  const names = Object.keys(metrics).filter((name) => name in result.metrics);
  const rows = names.map((name) => {
    const value = result.metrics[name];
    if (typeof value !== "number") return [name, "-", "", value.reason];
    const target = targetOf(name, result);
    const wanted = target === undefined ? "" : `${metrics[name].more ? ">=" : "<="} ${number(target)}`;
    return [name, `${number(value)} ${metrics[name].unit}`, wanted, verdictOf(name, result) ?? ""];
  });
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column]) : cell))
      .join("  ")
      .trimEnd(),
  );
  return [`${result.engine} (${result.accel}), ${result.vendor}`, ...lines].join("\n");
}
