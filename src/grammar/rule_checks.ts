/** Checks the rules of a grammar as a whole: left recursion and nullability. */
import { GrammarError, type GrammarSymbol } from "./rules.ts";

/**
 * Reject left recursion, which would be expanded without end.
 *
 * @param rules The rules.
 * @param loops Rules of unbounded repetitions.
 * @throws {GrammarError} If there is such a rule.
 */
export function refuseLeftRecursion(
  rules: readonly (readonly (readonly GrammarSymbol[])[])[],
  loops: ReadonlySet<number>,
): void {
  const nullable = nullableRules(rules);
  /** For each rule, the rules reachable before a character. */
  const first = rules.map((alternatives, rule) => {
    const reached = new Set<number>();
    for (const symbols of alternatives) {
      for (const symbol of symbols) {
        if (!("rule" in symbol)) break;
        reached.add(symbol.rule);
        if (!nullable[symbol.rule]) break;
      }
    }
    if (loops.has(rule)) reached.delete(rule);
    return reached;
  });
  // Topological removal: a rule that cannot be removed is on a cycle or leads to one.
  const users = rules.map((): number[] => []);
  const open = first.map((reached, rule) => {
    for (const other of reached) users[other]?.push(rule);
    return reached.size;
  });
  const free = [...open.keys()].filter((rule) => open[rule] === 0);
  for (const rule of free) {
    for (const user of users[rule] ?? []) {
      const left = (open[user] as number) - 1;
      open[user] = left;
      if (left === 0) free.push(user);
    }
  }
  if (free.length < rules.length) {
    throw new GrammarError("The grammar is left-recursive: a rule begins with itself, directly or through others");
  }
}

function nullableRules(rules: readonly (readonly (readonly GrammarSymbol[])[])[]): boolean[] {
  const nullable = rules.map(() => false);
  /** Alternatives that wait for a rule to become nullable. */
  const waiting = new Map<number, { rule: number; left: number }[]>();
  const found: number[] = [];
  rules.forEach((alternatives, rule) => {
    for (const symbols of alternatives) {
      if (symbols.some((symbol) => !("rule" in symbol))) continue;
      const parts = new Set(symbols.map((symbol) => "rule" in symbol ? symbol.rule : -1));
      if (parts.size === 0) found.push(rule);
      const entry = { rule, left: parts.size };
      for (const part of parts) {
        const list = waiting.get(part) ?? [];
        waiting.set(part, list);
        list.push(entry);
      }
    }
  });
  for (const rule of found) {
    if (nullable[rule]) continue;
    nullable[rule] = true;
    for (const entry of waiting.get(rule) ?? []) if (--entry.left === 0) found.push(entry.rule);
  }
  return nullable;
}
