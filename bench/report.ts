/** Figures, their goals, and the table. Owns the statistics; measures nothing. */
import { bold, green, yellow } from "@std/fmt/colors";

/** Goal of a figure. */
export type Goal =
  /** At least this multiple of the peer's figure. */
  | { readonly kind: "ratio-at-least"; readonly value: number }
  /** At most this multiple of the peer's figure. */
  | { readonly kind: "ratio-at-most"; readonly value: number }
  /** At least this value. */
  | { readonly kind: "at-least"; readonly value: number }
  /** At most this value. */
  | { readonly kind: "at-most"; readonly value: number };

/** A row of the table. */
export interface Row {
  readonly section: string;
  readonly figure: string;
  readonly unit: string;
  /** Undefined if there is no peer, or it has no such figure. */
  readonly peer?: number;
  readonly ours?: number;
  readonly goal?: Goal;
}

/**
 * Percentile of values.
 *
 * @param values At least one.
 * @param part 0 … 1.
 * @returns One of the values.
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("No values");
  return value;
}

/**
 * Median of values.
 *
 * @param values At least one.
 * @returns The median.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError("No values");
  return (upper + lower) / 2;
}

/**
 * Ratio of our figure to the peer's.
 *
 * @param row The line.
 * @returns The ratio, if there are two figures.
 */
export function ratio(row: Row): number | undefined {
  return row.peer === undefined || row.ours === undefined ? undefined : row.ours / row.peer;
}

/**
 * How far a figure misses its goal.
 *
 * @param row The line.
 * @returns As a share of the goal, 0 or less if reached; undefined without a goal or a figure to compare with.
 */
export function missedBy(row: Row): number | undefined {
  const { goal } = row;
  const value = goal?.kind === "at-most" || goal?.kind === "at-least" ? row.ours : ratio(row);
  if (goal === undefined || value === undefined) return undefined;
  return goal.kind === "ratio-at-least" || goal.kind === "at-least" ? 1 - value / goal.value : value / goal.value - 1;
}

/**
 * Format the table.
 *
 * @param rows Its lines.
 * @param color Whether to colour the verdicts.
 * @returns Text.
 */
export function table(rows: readonly Row[], color: boolean): string {
  const paint = (how: (text: string) => string, text: string): string => color ? how(text) : text;
  const head = ["", "llama-server", "inferd", "ratio", "target", ""];
  const cells = rows.map((row) => [
    `${row.figure}, ${row.unit}`,
    number(row.peer),
    number(row.ours),
    number(ratio(row), 2),
    goalText(row.goal),
    verdict(row),
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((cell) => (cell[column] ?? "").length))
  );
  const line = (cell: readonly string[]): string =>
    cell.map((text, column) => {
      const width = widths[column] ?? 0;
      return column === 0 || column === cell.length - 1 ? text.padEnd(width) : text.padStart(width);
    }).join("  ").trimEnd();
  const out: string[] = [];
  let section = "";
  rows.forEach((row, index) => {
    if (row.section !== section) {
      section = row.section;
      out.push("", line([section, ...head.slice(1)]).replace(section, paint(bold, section)));
    }
    const text = line(cells[index] ?? []);
    const missed = missedBy(row);
    out.push(missed === undefined ? text : paint(missed <= 0 ? green : yellow, text));
  });
  return out.slice(1).join("\n");
}

function number(value: number | undefined, digits?: number): string {
  if (value === undefined) return "-";
  return value.toFixed(digits ?? (value >= 100 ? 0 : value >= 10 ? 1 : 2));
}

function goalText(goal: Goal | undefined): string {
  if (goal === undefined) return "";
  const { kind, value } = goal;
  if (kind === "at-least") return `>= ${value}`;
  return kind === "at-most" ? `<= ${value}` : `${kind === "ratio-at-least" ? ">=" : "<="} ${value.toFixed(2)} x`;
}

function verdict(row: Row): string {
  const missed = missedBy(row);
  if (missed === undefined) return row.goal === undefined ? "" : "not measured";
  return missed <= 0 ? "reached" : `missed by ${(missed * 100).toFixed(0)} %`;
}
