/** The rules of a grammar as numbered places: one per symbol of each alternative, and one for its end. */
import { Chars } from "./char_set.ts";
import { type Bound, type CharSet, type GrammarSymbol, isLazy, type Rules } from "../rules.ts";

/** Places of the rules reached so far. */
export class Places {
  #rules: Rules["rules"];
  /** Symbol at each place; none at the end of an alternative. */
  readonly chars: (Chars | undefined)[] = [];
  readonly rule: (number | undefined)[] = [];
  readonly token: (number | undefined)[] = [];
  /** First places of the alternatives of each rule. */
  readonly #starts: (readonly number[] | undefined)[] = [];
  /** For places before a bounded rule, the corresponding place before the unbounded one. */
  readonly #endless = new Map<number, number>();
  /** The latter, by the symbols that follow. */
  readonly #byText = new Map<string, number>();
  readonly #sets = new Map<CharSet, Chars>();
  readonly #setsByContent = new Map<string, Chars>();
  /** Expanded lazy rules. */
  expanded = 0;

  constructor(rules: Rules["rules"]) {
    this.#rules = rules;
  }

  /** Extend to a superset of the rules. */
  set rules(rules: Rules["rules"]) {
    this.#rules = rules;
  }

  /** First places of the alternatives of a rule. */
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

  /** Bound of the rule that ends the alternative, if it has one. */
  boundAt(place: number): Bound | undefined {
    const rule = this.#rules[this.rule[this.#lastOf(place)] ?? -1];
    return rule !== undefined && isLazy(rule) ? rule.bound : undefined;
  }

  /** Symbols from a place to the end of its alternative, with the last rule unbounded. */
  endlessAt(place: number, { endless }: Bound): number {
    let found = this.#endless.get(place);
    if (found === undefined) this.#endless.set(place, found = this.#findEndless(place, endless()));
    return found;
  }

  isEnd(place: number): boolean {
    return this.chars[place] === undefined && this.rule[place] === undefined && this.token[place] === undefined;
  }

  #findEndless(from: number, rule: number): number {
    const last = this.#lastOf(from);
    let key = `${rule}`;
    for (let at = from; at < last; at++) key += ` ${this.rule[at] ?? `${this.chars[at]?.id}c${this.token[at]}`}`;
    let place = this.#byText.get(key);
    if (place !== undefined) return place;
    this.#byText.set(key, place = this.chars.length);
    for (let at = from; at < last; at++) this.#add(this.chars[at], this.rule[at], this.token[at]);
    this.#place({ rule });
    this.#place(undefined);
    return place;
  }

  #lastOf(place: number): number {
    while (!this.isEnd(place + 1)) place++;
    return place;
  }

  #place(symbol: GrammarSymbol | undefined): void {
    this.#add(
      symbol !== undefined && "chars" in symbol ? this.#set(symbol.chars) : undefined,
      symbol !== undefined && "rule" in symbol ? symbol.rule : undefined,
      symbol !== undefined && "token" in symbol ? symbol.token : undefined,
    );
  }

  #add(chars: Chars | undefined, rule: number | undefined, token: number | undefined): void {
    this.chars.push(chars);
    this.rule.push(rule);
    this.token.push(token);
  }

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
