/**
 * Builds rules from parts: texts, tokens, choices and repetitions. The counterpart of `gbnf.ts` for the daemon's own
 * grammars. A part is a list of symbols; parts are concatenated by spreading and may be reused.
 */
import {
  type Alternatives,
  type Bound,
  type CharSet,
  GrammarError,
  type GrammarSymbol,
  isLazy,
  type LazyRule,
  MAX_SYMBOLS,
  type Rules,
} from "./rules.ts";
import { refuseLeftRecursion } from "./rule_checks.ts";
import { type Language, Languages } from "./language/language.ts";

/** How characters are escaped. */
export interface CharacterWriter {
  /** Unique name. */
  readonly name: string;
  /** The spellings of the characters of a set. */
  readonly write: (builder: GrammarBuilder, chars: CharSet) => Alternatives;
}

/** Unescaped. */
export const PLAIN_CHARACTERS: CharacterWriter = { name: "plain", write: (_, chars) => [[{ chars }]] };

/** Maximum derivatives for the characters after a state that are forced, a few tenths of a millisecond. */
const MAX_WORK_FORCED = 2000;

/** Builds the rules of one grammar. */
export class GrammarBuilder {
  readonly #rules: (Alternatives | LazyRule)[] = [];
  /** Declared rules without definition. */
  readonly #undefined = new Set<number>();
  /** Rules of derivatives, created once. */
  readonly #made = new Map<string, number>();
  /** Symbols of single characters. */
  readonly #characters = new Map<number, GrammarSymbol>();
  /** Languages of its strings. */
  readonly languages: Languages = new Languages();
  /** Rules of unbounded repetitions; they are right-recursive. */
  readonly #loops = new Set<number>();
  #symbols = 0;
  #isBuilt = false;

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
      let symbol = this.#characters.get(code);
      if (symbol === undefined) this.#characters.set(code, symbol = { chars: [code, code] });
      symbols.push(symbol);
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

  /** One of these; an empty one matches the empty text. */
  choice(alternatives: Alternatives): GrammarSymbol[] {
    const rule = this.declare();
    this.define(rule, alternatives);
    return [{ rule }];
  }

  /**
   * One of these texts. Common prefixes are shared, so that thousands can be matched.
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
   * A repetition.
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
   * A text of a language. Its states become lazy rules.
   *
   * @param language Not empty.
   * @param write How characters are escaped.
   * @param lengths Length bounds of the text.
   */
  language(
    language: Language,
    write: CharacterWriter = PLAIN_CHARACTERS,
    { least = 0, most = Infinity }: { readonly least?: number; readonly most?: number } = {},
  ): GrammarSymbol[] {
    if (language === this.languages.empty) return [];
    return [{ rule: this.#state(language, write, least, most) }];
  }

  #state(language: Language, write: CharacterWriter, least: number, most: number): number {
    const l = this.languages;
    if (least > 0 || most < Infinity) {
      const lengths = l.lengths(language);
      if (lengths?.every(([from, to]) => from >= least && to <= most)) [least, most] = [0, Infinity];
    }
    const name = `${write.name} ${language.id} ${least} ${most}`;
    let rule = this.#made.get(name);
    if (rule !== undefined) return rule;
    const isAny = language === l.any;
    const left = most === Infinity || least > 0 && !isAny ? undefined : l.ends(language)?.left;
    const bound = left === undefined
      ? undefined
      : { most: most - left, isAny, endless: () => this.#state(language, write, least, Infinity) };
    rule = this.lazy(() => {
      const alternatives: GrammarSymbol[][] = [];
      const [fewer, left] = [Math.max(0, least - 1), most - 1];
      for (const { chars, to } of l.moves(language)) {
        if (!l.hasLength(to, fewer, left)) continue;
        const rest = fewer === 0 && left === Infinity
          ? this.#forced(to, write)
          : [{ rule: this.#state(to, write, fewer, left) }];
        for (const symbols of write.write(this, chars)) alternatives.push([...symbols, ...rest]);
      }
      if (language.nullable && least === 0) alternatives.push([]);
      return alternatives;
    }, bound);
    this.#made.set(name, rule);
    return rule;
  }

  /** A derivative, with the characters that are forced, or some of them if they take long to find. */
  #forced(language: Language, write: CharacterWriter): GrammarSymbol[] {
    const symbols: GrammarSymbol[] = [];
    const until = this.languages.work + MAX_WORK_FORCED;
    while (language !== this.languages.empty) {
      const only = this.languages.work > until ? undefined : this.languages.onlyMove(language);
      const written = only === undefined ? [] : write.write(this, [only.char, only.char]);
      if (only === undefined || written.length !== 1) {
        return [...symbols, { rule: this.#state(language, write, 0, Infinity) }];
      }
      symbols.push(...written[0] ?? []);
      language = only.to;
    }
    return symbols;
  }

  /**
   * A lazy rule.
   *
   * @param expand Creates its alternatives; must not be left-recursive.
   * @param bound Set for texts of bounded length.
   */
  lazy(expand: () => Alternatives, bound?: Bound): number {
    return this.#rules.push(bound === undefined ? { expand } : { expand, bound }) - 1;
  }

  /** Declare a rule, to be defined later. */
  declare(): number {
    const rule = this.#rules.push([]) - 1;
    this.#undefined.add(rule);
    return rule;
  }

  /** Define a declared rule. */
  define(rule: number, alternatives: Alternatives): void {
    for (const symbols of alternatives) this.#symbols += symbols.length + 1;
    this.#refuseOver(this.#symbols);
    this.#rules[rule] = alternatives;
    this.#undefined.delete(rule);
  }

  /**
   * Finish the grammar.
   *
   * @param root Symbols of the whole text.
   * @returns Its rules.
   * @throws {GrammarError} If it is too large or left-recursive.
   */
  build(root: readonly GrammarSymbol[]): Rules {
    const start = this.declare();
    this.define(start, [root]);
    if (this.#undefined.size > 0) throw new GrammarError("The grammar uses a rule that it does not define");
    this.#isBuilt = true;
    this.languages.release();
    refuseLeftRecursion(this.#rules.map((rule) => isLazy(rule) ? [] : rule), this.#loops);
    return { root: start, rules: this.#rules, writing: this.languages };
  }

  /** Sorted texts with a common prefix: the prefix, then a choice of continuations. */
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
    // What is written out later grows no faster than the text.
    if (symbols > MAX_SYMBOLS && !this.#isBuilt) {
      throw new GrammarError(`The grammar has more than ${MAX_SYMBOLS} symbols with its repetitions written out`);
    }
  }
}

function compareTexts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = (a[i]?.codePointAt(0) ?? 0) - (b[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
