/** A finite set of words as a trie over characters. */
import { type Interval, joined } from "./lengths.ts";

/** A node: the continuations of a common prefix. */
export class Trie {
  readonly next = new Map<number, Trie>();
  /** Whether a word ends here. */
  ends = false;
  /** Number of words below. */
  count = 0;
  /** Number of nodes below. */
  size = 0;

  /** The words below. */
  *words(): Generator<string> {
    for (const { node, before } of this.#below()) {
      if (node.ends) yield before.map((char) => String.fromCodePoint(char)).join("");
    }
  }

  /** Their lengths. */
  lengths(): readonly Interval[] | undefined {
    const lengths = new Set<number>();
    for (const { node, before } of this.#below()) if (node.ends) lengths.add(before.length);
    return joined([...lengths].map((length) => [length, length]));
  }

  /** All nodes below, each with its path, which is reused. Iterative, because words may be long. */
  *#below(): Generator<{ readonly node: Trie; readonly before: readonly number[] }> {
    const before: number[] = [];
    yield { node: this, before };
    const path = [this.next.entries()];
    for (let next = path.at(-1); next !== undefined; next = path.at(-1)) {
      const { value, done } = next.next();
      if (done === true) {
        path.pop();
        before.pop();
        continue;
      }
      const [char, node] = value;
      before.push(char);
      yield { node, before };
      path.push(node.next.entries());
    }
  }

  /** Add a word. */
  add(word: string): void {
    const path: Trie[] = [this];
    /** Existing nodes of the path. */
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
