/** Suggestions for misspelt words. */

/** @returns The nearest, if it is near enough to be what was meant. */
export function closest(given: string, words: readonly string[]): string | undefined {
  const most = Math.max(1, Math.floor(given.length / 3));
  const near = words.map((word) => ({ word, edits: editDistance(given, word) })).filter(({ edits }) => edits <= most);
  return near.toSorted((one, other) => one.edits - other.edits)[0]?.word ??
    (given.length < 2 ? undefined : words.find((word) => word.startsWith(given)));
}

/** `; did you mean "chat"?`, or the empty string. */
export function didYouMean(given: string, words: readonly string[], prefix = ""): string {
  const word = closest(given, words);
  return word === undefined ? "" : `; did you mean "${prefix}${word}"?`;
}

/** Damerau–Levenshtein distance: insertions, deletions, replacements, and swaps of neighbours. */
export function editDistance(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Infinity;
  for (let i = 1; i <= one.length; i++) {
    const row = rows[i] = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row.push(Math.min(
        at(i - 1, j) + 1,
        (row[j - 1] ?? Infinity) + 1,
        at(i - 1, j - 1) + (same ? 0 : 1),
        swapped ? at(i - 2, j - 2) + 1 : Infinity,
      ));
    }
  }
  return at(one.length, other.length);
}
