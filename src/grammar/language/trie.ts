/** Finitely many words, by their characters. */
import { type Interval, joined } from "./lengths.ts";

/** What may follow a beginning that words have in common. */
export class Trie {
  readonly next = new Map<number, Trie>();
  /** Whether a word ends here. */
  ends = false;
  /** Words from here on. */
  count = 0;
  /** Nodes below this one. */
  size = 0;

  /** The words from here on. */
  *words(before = ""): Generator<string> {
    if (this.ends) yield before;
    for (const [char, node] of this.next) yield* node.words(before + String.fromCodePoint(char));
  }

  /** How long they are. */
  lengths(): readonly Interval[] | undefined {
    const lengths = new Set<number>();
    const collect = (node: Trie, depth: number): void => {
      if (node.ends) lengths.add(depth);
      for (const next of node.next.values()) collect(next, depth + 1);
    };
    collect(this, 0);
    return joined([...lengths].map((length) => [length, length]));
  }

  /** Add a word. */
  add(word: string): void {
    const path: Trie[] = [this];
    /** Nodes of the path that were there before. */
    let known = 1;
    for (const char of word) {
      const code = char.codePointAt(0) as number;
      const { next } = path.at(-1) as Trie;
      const before = next.get(code);
      const node = before ?? new Trie();
      if (before !== undefined) known++;
      else next.set(code, node);
      path.push(node);
    }
    const last = path.at(-1) as Trie;
    if (last.ends) return;
    last.ends = true;
    for (const [depth, node] of path.entries()) {
      node.count++;
      node.size += path.length - Math.max(depth + 1, known);
    }
  }
}

/** The words as a trie. */
export function trieOf(words: Iterable<string>): Trie {
  const root = new Trie();
  for (const word of words) root.add(word);
  return root;
}
