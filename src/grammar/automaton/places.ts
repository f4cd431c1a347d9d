/** The rules of a grammar as places: each symbol of each alternative is one, and its end is another. */
import { Chars } from "./char_set.ts";
import { type Bound, type CharSet, type GrammarSymbol, isLazy, type Rules } from "../rules.ts";

/** Places of the rules that a text came to. */
export class Places {
  #rules: Rules["rules"];
  /** What stands at each place; nothing at the end of an alternative. */
  readonly chars: (Chars | undefined)[] = [];
  readonly rule: (number | undefined)[] = [];
  readonly token: (number | undefined)[] = [];
  /** Where the alternatives of each rule begin. */
  readonly #starts: (readonly number[] | undefined)[] = [];
  /** Where rules stand with nothing behind them. */
  readonly #tails = new Map<number, number>();
  readonly #sets = new Map<CharSet, Chars>();
  readonly #setsByContent = new Map<string, Chars>();
  /** Lazy rules that were written out. */
  expanded = 0;

  constructor(rules: Rules["rules"]) {
    this.#rules = rules;
  }

  /** Rules that have all that there were, and more. */
  set rules(rules: Rules["rules"]) {
    this.#rules = rules;
  }

  /** Where the alternatives of a rule begin. */
  startsOf(rule: number): readonly number[] {
    const known = this.#starts[rule];
    if (known !== undefined) return known;
    const definition = this.#rules[rule] ?? [];
    if (isLazy(definition)) this.expanded++;
    const starts = (isLazy(definition) ? definition.expand() : definition).map((symbols) => {
      const start = this.chars.length;
      for (const symbol of symbols) this.#place(symbol);
      this.#place(undefined);
      return start;
    });
    this.#starts[rule] = starts;
    return starts;
  }

  /** Where a rule stands and nothing behind it; within itself, if it ends with itself. */
  tailOf(rule: number): number {
    let tail = this.#tails.get(rule);
    if (tail === undefined) this.#tails.set(rule, tail = this.#findTail(rule));
    return tail;
  }

  /** The bound of the rule at a place, if it has one and nothing stands behind it. */
  boundAt(place: number): Bound | undefined {
    const rule = this.#rules[this.rule[place] ?? -1];
    return rule !== undefined && isLazy(rule) && this.isEnd(place + 1) ? rule.bound : undefined;
  }

  isEnd(place: number): boolean {
    return this.chars[place] === undefined && this.rule[place] === undefined && this.token[place] === undefined;
  }

  #findTail(rule: number): number {
    for (let place of this.startsOf(rule)) {
      for (; !this.isEnd(place); place++) if (this.rule[place] === rule && this.isEnd(place + 1)) return place;
    }
    const place = this.chars.length;
    this.#place({ rule });
    this.#place(undefined);
    return place;
  }

  #place(symbol: GrammarSymbol | undefined): void {
    this.chars.push(symbol !== undefined && "chars" in symbol ? this.#set(symbol.chars) : undefined);
    this.rule.push(symbol !== undefined && "rule" in symbol ? symbol.rule : undefined);
    this.token.push(symbol !== undefined && "token" in symbol ? symbol.token : undefined);
  }

  /** Equal sets are the same object. */
  #set(chars: CharSet): Chars {
    let known = this.#sets.get(chars);
    if (known === undefined) {
      const key = chars.join();
      known = this.#setsByContent.get(key) ?? new Chars(chars);
      this.#setsByContent.set(key, known);
      this.#sets.set(chars, known);
    }
    return known;
  }
}
