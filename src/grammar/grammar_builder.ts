/**
 * Puts rules together that are not written down anywhere: texts, tokens, choices and repetitions. What `gbnf.ts`
 * reads from a client's text, this makes for the daemon's own forms. A part is a list of symbols, to be joined to others
 * by spreading; it may be used in several places.
 */
import {
  type CharSet,
  finiteRules,
  GrammarError,
  type GrammarSymbol,
  MAX_CODE_POINT,
  MAX_SYMBOLS,
  refuseLeftRecursion,
  type Rules,
} from "./gbnf.ts";

/** Builds the rules of one grammar. */
export class GrammarBuilder {
  readonly #rules: (readonly (readonly GrammarSymbol[])[] | undefined)[] = [];
  /** Rules made for repetitions without end; they end with themselves. */
  readonly #loops = new Set<number>();
  #symbols = 0;

  /**
   * Exactly this text.
   *
   * @param literal Any text without unpaired surrogates.
   * @returns A symbol for each character.
   */
  text(literal: string): GrammarSymbol[] {
    this.#refuseOver(this.#symbols + literal.length / 2);
    const symbols: GrammarSymbol[] = [];
    for (const char of literal) {
      const code = char.codePointAt(0) as number;
      if (code >= 0xd800 && code <= 0xdfff) {
        throw new GrammarError("The grammar has half of a surrogate pair in a text");
      }
      symbols.push({ chars: [code, code] });
    }
    return symbols;
  }

  /** Exactly this token, whether or not it is text. */
  token(id: number): GrammarSymbol[] {
    return [{ token: id }];
  }

  /** One character of a set. */
  chars(set: CharSet): GrammarSymbol[] {
    return [{ chars: set }];
  }

  /** One of these; an empty one matches nothing at all. */
  choice(alternatives: readonly (readonly GrammarSymbol[])[]): GrammarSymbol[] {
    const rule = this.declare();
    this.define(rule, alternatives);
    return [{ rule }];
  }

  /**
   * One of these texts. Texts that begin alike share their beginning, so that thousands of them can be followed.
   *
   * @param literals At least one; equal ones count once.
   */
  texts(literals: readonly string[]): GrammarSymbol[] {
    let length = 0;
    for (const literal of literals) length += literal.length;
    this.#refuseOver(this.#symbols + length);
    return this.#branch([...new Set(literals)].map((literal) => [...literal]).sort(compareTexts), 0);
  }

  /** This, or nothing. */
  optional(symbols: readonly GrammarSymbol[]): GrammarSymbol[] {
    return symbols.length === 0 ? [] : this.choice([symbols, []]);
  }

  /**
   * This, several times.
   *
   * @param symbols What is repeated.
   * @param least How often at least.
   * @param most How often at most; may be `Infinity`.
   */
  repeat(symbols: readonly GrammarSymbol[], least: number, most: number): GrammarSymbol[] {
    this.#refuseOver(this.#symbols + symbols.length * least);
    const repeated = Array.from({ length: least }, () => symbols).flat();
    if (most === Infinity) {
      const rule = this.declare();
      this.define(rule, [[...symbols, { rule }], []]);
      this.#loops.add(rule);
      repeated.push({ rule });
    } else {
      // `T` is `S T' |`, and so on to the last.
      let rest: GrammarSymbol[] = [];
      for (let i = least; i < most; i++) rest = this.choice([[...symbols, ...rest], []]);
      repeated.push(...rest);
    }
    return repeated;
  }

  /**
   * Any text that contains none of these.
   *
   * @param stops Not empty, each of at least one character.
   */
  textWithout(stops: readonly string[]): GrammarSymbol[] {
    const wanted = stops.map((stop) => [...stop]);
    // A state is how much of a stop has just been written (Aho-Corasick).
    const states = new Map<string, { readonly rule: number; readonly written: readonly string[] }>();
    for (const stop of wanted) {
      for (let length = 0; length < stop.length; length++) {
        const written = stop.slice(0, length);
        const key = written.join("");
        if (!states.has(key)) states.set(key, { rule: this.declare(), written });
      }
    }
    const alphabet = [...new Set(wanted.flat())].sort(compareCharacters);
    const others = withoutCharacters(alphabet);
    for (const { rule, written } of states.values()) {
      const targets = new Map<number, number[]>();
      for (const char of alphabet) {
        let tail = [...written, char];
        if (wanted.some((stop) => endsWith(tail, stop))) continue;
        while (!states.has(tail.join(""))) tail = tail.slice(1);
        const target = states.get(tail.join(""))?.rule as number;
        const code = char.codePointAt(0) as number;
        targets.set(target, [...targets.get(target) ?? [], code, code]);
      }
      const root = states.get("")?.rule as number;
      this.define(rule, [
        ...[...targets].map(([target, chars]): GrammarSymbol[] => [{ chars: merged(chars) }, { rule: target }]),
        [{ chars: others }, { rule: root }],
        [],
      ]);
    }
    return [{ rule: states.get("")?.rule as number }];
  }

  /** A rule to refer to before it is known what it is. */
  declare(): number {
    return this.#rules.push(undefined) - 1;
  }

  /** Say what a declared rule is. */
  define(rule: number, alternatives: readonly (readonly GrammarSymbol[])[]): void {
    for (const symbols of alternatives) this.#symbols += symbols.length + 1;
    this.#refuseOver(this.#symbols);
    this.#rules[rule] = alternatives;
  }

  /**
   * A rule among these that no text could ever satisfy, because it contains itself without end.
   *
   * @param rules Rules by their number.
   */
  endless(rules: readonly number[]): number | undefined {
    const finite = finiteRules(this.#rules);
    return rules.find((rule) => !finite[rule]);
  }

  /**
   * The grammar.
   *
   * @param root What the whole text is.
   * @returns Its rules.
   * @throws {GrammarError} If it is too large, or a rule begins with itself.
   */
  build(root: readonly GrammarSymbol[]): Rules {
    const start = this.declare();
    this.define(start, [root]);
    const rules = this.#rules.map((alternatives) => {
      if (alternatives === undefined) throw new GrammarError("The grammar uses a rule that it does not define");
      return alternatives;
    });
    refuseLeftRecursion(rules, this.#loops);
    return { root: start, rules };
  }

  /** Sorted texts that are equal up to a place: their common beginning, then a choice of how they go on. */
  #branch(texts: readonly (readonly string[])[], from: number): GrammarSymbol[] {
    const first = texts[0] ?? [];
    const last = texts.at(-1) ?? [];
    let to = from;
    while (to < first.length && first[to] === last[to]) to++;
    const common = this.text(first.slice(from, to).join(""));
    if (texts.length <= 1) return common;
    const alternatives: GrammarSymbol[][] = [];
    for (let start = 0; start < texts.length;) {
      const char = texts[start]?.[to];
      let end = start + 1;
      while (end < texts.length && texts[end]?.[to] === char) end++;
      alternatives.push(char === undefined ? [] : this.#branch(texts.slice(start, end), to));
      start = end;
    }
    return [...common, ...this.choice(alternatives)];
  }

  #refuseOver(symbols: number): void {
    if (symbols > MAX_SYMBOLS) {
      throw new GrammarError(`The grammar has more than ${MAX_SYMBOLS} symbols with its repetitions written out`);
    }
  }
}

function endsWith(text: readonly string[], end: readonly string[]): boolean {
  return text.length >= end.length && end.every((char, index) => text[text.length - end.length + index] === char);
}

function compareCharacters(a: string, b: string): number {
  return (a.codePointAt(0) as number) - (b.codePointAt(0) as number);
}

/** All characters but these, which are sorted. */
function withoutCharacters(chars: readonly string[]): number[] {
  const left: number[] = [];
  let from = 0;
  for (const char of chars) {
    const code = char.codePointAt(0) as number;
    if (code > from) left.push(from, code - 1);
    from = code + 1;
  }
  left.push(from, MAX_CODE_POINT);
  return left;
}

/** Neighbours as one range. */
function merged(chars: readonly number[]): number[] {
  const all: number[] = [];
  for (let i = 0; i < chars.length; i += 2) {
    const [from, to] = [chars[i] as number, chars[i + 1] as number];
    if (all.length > 0 && (all.at(-1) as number) + 1 === from) all[all.length - 1] = to;
    else all.push(from, to);
  }
  return all;
}

function compareTexts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = (a[i]?.codePointAt(0) ?? 0) - (b[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
