/**
 * Figures, what they are held against, and the table. Owns the statistics; measures nothing.
 */
import { bold, green, yellow } from "@std/fmt/colors";

/** What a figure has to reach. */
export type Goal =
  /** So many times the peer's figure, at least. */
  | { readonly kind: "ratio-at-least"; readonly value: number }
  /** So many times the peer's figure, at most. */
  | { readonly kind: "ratio-at-most"; readonly value: number }
  /** This much, at least, whatever the peer does. */
  | { readonly kind: "at-least"; readonly value: number }
  /** This much, at most, whatever the peer does. */
  | { readonly kind: "at-most"; readonly value: number };

/** One line of the table. */
export interface Row {
  readonly section: string;
  readonly figure: string;
  readonly unit: string;
  /** Absent: there is no peer, or it has no such figure. */
  readonly peer?: number;
  readonly ours?: number;
  readonly goal?: Goal;
}

/**
 * The value below which a part of the values lies.
 *
 * @param values At least one.
 * @param part 0 … 1.
 * @returns The value, one of those given.
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("No values");
  return value;
}

/**
 * The middle value, or what lies between the two middle ones.
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
 * How many times the peer's figure ours is.
 *
 * @param row The line.
 * @returns The ratio, if there are two figures.
 */
export function ratio(row: Row): number | undefined {
  return row.peer === undefined || row.ours === undefined ? undefined : row.ours / row.peer;
}

/**
 * By how much a figure misses its goal.
 *
 * @param row The line.
 * @returns A part of the goal, 0 or less when it is reached; nothing where there is no goal or nothing to hold it to.
 */
export function missedBy(row: Row): number | undefined {
  const { goal } = row;
  const value = goal?.kind === "at-most" || goal?.kind === "at-least" ? row.ours : ratio(row);
  if (goal === undefined || value === undefined) return undefined;
  return goal.kind === "ratio-at-least" || goal.kind === "at-least" ? 1 - value / goal.value : value / goal.value - 1;
}

/**
 * The table for people.
 *
 * @param rows Its lines.
 * @param color Whether to paint the verdicts.
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
