/**
 * Grammars that answers followed lately, with what has been found out about them, so that the next answer that follows
 * the same one goes on from there.
 */
import type { Rules } from "./gbnf.ts";
import { Grammar } from "./grammar.ts";

/** Grammars that are kept, and what the rules of one may come to as text. */
const KEPT = 8;
const LARGEST = 2 ** 20;

/** The grammars of one engine. */
export class Grammars {
  /** By their rules; those used last are last. */
  readonly #kept = new Map<string, Grammar>();

  /**
   * The grammar of these rules; equal rules have the same.
   *
   * @param rules The rules.
   * @throws {GrammarError} If they cannot be followed.
   */
  of(rules: Rules): Grammar {
    const key = JSON.stringify(rules);
    const grammar = this.#kept.get(key) ?? new Grammar(rules);
    if (key.length > LARGEST) return grammar;
    this.#kept.delete(key);
    this.#kept.set(key, grammar);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return grammar;
  }
}
