/**
 * Parses GBNF, llama.cpp's grammar notation, into rules over characters. Written in TypeScript because a client's
 * grammar can make the native parser overflow its stack or allocate without bound, which would take down the engine.
 * Matching is in `grammar.ts`.
 */
import { refuseLeftRecursion } from "./rule_checks.ts";
import { type CharSet, GrammarError, type GrammarSymbol, MAX_CODE_POINT, MAX_SYMBOLS, type Rules } from "./rules.ts";

const ROOT = "root";
const ANY: CharSet = [0, MAX_CODE_POINT];
/** Maximum nesting of groups. */
const MAX_NESTING = 200;
const MAX_REPETITIONS = 2000;

const NAME = /[A-Za-z0-9_-]+/y;
const NUMBER = /\d{1,9}/y;
const HEX: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Read a grammar.
 *
 * @param text GBNF.
 * @returns Its rules, none of which is left-recursive.
 * @throws {GrammarError} If it is none, or one that cannot be used.
 */
export function parseGbnf(text: string): Rules {
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #nesting = 0;
  #symbols = 0;
  readonly #names = new Map<string, number>();
  readonly #rules: (readonly (readonly GrammarSymbol[])[] | undefined)[] = [];
  /** Rules of unbounded repetitions. They are right-recursive, which is harmless for an empty item. */
  readonly #loops = new Set<number>();

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Rules {
    this.#space(true);
    while (this.#at < this.#text.length) this.#rule();
    const root = this.#names.get(ROOT);
    if (root === undefined) throw new GrammarError(`The grammar has no rule "${ROOT}"`);
    const rules = this.#rules.map((alternatives, rule) => {
      if (alternatives !== undefined) return alternatives;
      const name = [...this.#names].find(([, number]) => number === rule)?.[0];
      throw new GrammarError(`The grammar uses the rule "${name}", which it does not define`);
    });
    refuseLeftRecursion(rules, this.#loops);
    return { root, rules };
  }

  #rule(): void {
    const name = this.#match(NAME, "a rule's name");
    this.#space(false);
    if (!this.#text.startsWith("::=", this.#at)) throw this.#error('"::="');
    this.#at += 3;
    this.#space(true);
    const rule = this.#ruleNumber(name);
    if (this.#rules[rule] !== undefined) throw new GrammarError(`The grammar defines the rule "${name}" twice`);
    this.#rules[rule] = this.#alternatives();
    if (this.#at < this.#text.length && !/[\r\n]/.test(this.#peek())) throw this.#error("the end of the rule");
    this.#space(true);
  }

  #alternatives(): GrammarSymbol[][] {
    const found = [this.#sequence()];
    while (this.#peek() === "|") {
      this.#at++;
      this.#space(true);
      found.push(this.#sequence());
    }
    return found;
  }

  #sequence(): GrammarSymbol[] {
    const symbols: GrammarSymbol[] = [];
    /** Start of the item that a repetition applies to. */
    let last = -1;
    for (;;) {
      const next = this.#peek();
      if ("*+?{".includes(next) && next !== "") {
        if (last === -1) throw this.#error("something to repeat");
        const [least, most] = this.#repetition(next);
        symbols.push(...this.#repeated(symbols.splice(last), least, most));
        this.#count(symbols.length - last);
        // A repetition is not repeated again.
        last = -1;
      } else {
        const item = this.#item(next);
        if (item === undefined) return symbols;
        last = symbols.length;
        symbols.push(...item);
        this.#count(item.length);
      }
      this.#space(this.#nesting > 0);
    }
  }

  /** A literal, a set, a rule or a group; `undefined` if there is none. */
  #item(next: string): GrammarSymbol[] | undefined {
    if (next === '"') return this.#literal();
    if (next === "[") return [{ chars: this.#set() }];
    if (next === "(") return [{ rule: this.#group() }];
    if (next === ".") {
      this.#at++;
      return [{ chars: ANY }];
    }
    if (/[A-Za-z0-9_-]/.test(next)) return [{ rule: this.#ruleNumber(this.#match(NAME, "a rule's name")) }];
    return undefined;
  }

  #literal(): GrammarSymbol[] {
    this.#at++;
    const symbols: GrammarSymbol[] = [];
    while (this.#peek() !== '"') {
      const char = this.#char('the closing "');
      symbols.push({ chars: [char, char] });
    }
    this.#at++;
    return symbols;
  }

  #set(): CharSet {
    this.#at++;
    const excluded = this.#peek() === "^";
    if (excluded) this.#at++;
    const ranges: [number, number][] = [];
    while (this.#peek() !== "]") {
      const from = this.#char('the closing "]"');
      let to = from;
      if (this.#peek() === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at++;
        to = this.#char("the end of the range");
      }
      if (to < from) throw new GrammarError(`The grammar has a range that ends before it begins, at ${this.#place()}`);
      ranges.push([from, to]);
    }
    this.#at++;
    return excluded ? complement(ranges) : ranges.flat();
  }

  #group(): number {
    if (++this.#nesting > MAX_NESTING) throw new GrammarError(`The grammar nests groups more than ${MAX_NESTING} deep`);
    this.#at++;
    this.#space(true);
    const rule = this.#define(this.#alternatives());
    if (this.#peek() !== ")") throw this.#error('")"');
    this.#at++;
    this.#nesting--;
    return rule;
  }

  #repetition(kind: string): [number, number] {
    this.#at++;
    if (kind === "*") return [0, Infinity];
    if (kind === "+") return [1, Infinity];
    if (kind === "?") return [0, 1];
    this.#space(true);
    const least = Number(this.#match(NUMBER, "a number"));
    let most = least;
    this.#space(true);
    if (this.#peek() === ",") {
      this.#at++;
      this.#space(true);
      most = /\d/.test(this.#peek()) ? Number(this.#match(NUMBER, "a number")) : Infinity;
      this.#space(true);
    }
    if (this.#peek() !== "}") throw this.#error('"}"');
    this.#at++;
    if (least > MAX_REPETITIONS || (most > MAX_REPETITIONS && most !== Infinity)) {
      throw new GrammarError(`The grammar repeats something more than ${MAX_REPETITIONS} times`);
    }
    if (most < least) {
      throw new GrammarError(`The grammar has a repetition whose end is before its start, {${least},${most}}`);
    }
    return [least, most];
  }

  /** `S{m,n}` as `S … S T`, where `T` is `S T' |` and so on to the last, or `S T |` where there is no end. */
  #repeated(item: readonly GrammarSymbol[], least: number, most: number): GrammarSymbol[] {
    this.#count(item.length * least);
    const symbols: GrammarSymbol[] = [];
    for (let i = 0; i < least; i++) symbols.push(...item);
    if (most === Infinity) {
      const rule = this.#rules.push(undefined) - 1;
      this.#rules[rule] = [[...item, { rule }], []];
      this.#loops.add(rule);
      symbols.push({ rule });
    } else if (most > least) {
      this.#count((item.length + 1) * (most - least));
      let rest: GrammarSymbol[] = [];
      for (let i = least; i < most; i++) rest = [{ rule: this.#define([[...item, ...rest], []]) }];
      symbols.push(...rest);
    }
    return symbols;
  }

  /** One character, escaped or not. */
  #char(otherwise: string): number {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) throw this.#error(otherwise);
    if (code !== 0x5c) {
      this.#at += code > 0xffff ? 2 : 1;
      return code;
    }
    const kind = this.#text[this.#at + 1] ?? "";
    const digits = HEX[kind];
    this.#at += 2;
    if (digits !== undefined) {
      const hex = this.#text.slice(this.#at, this.#at + digits);
      const value = Number.parseInt(hex, 16);
      if (!/^[0-9A-Fa-f]+$/.test(hex) || hex.length < digits || value > MAX_CODE_POINT) {
        throw this.#error(`${digits} hexadecimal digits of a character`);
      }
      this.#at += digits;
      return value;
    }
    if (!'"[]\\nrt'.includes(kind) || kind === "") throw this.#error('one of \\" \\[ \\] \\\\ \\n \\r \\t \\x \\u \\U');
    return (ESCAPES[kind] ?? kind).codePointAt(0) as number;
  }

  #ruleNumber(name: string): number {
    return this.#names.getOrInsertComputed(name, () => this.#rules.push(undefined) - 1);
  }

  #define(alternatives: GrammarSymbol[][]): number {
    return this.#rules.push(alternatives) - 1;
  }

  #count(symbols: number): void {
    this.#symbols += symbols;
    if (this.#symbols > MAX_SYMBOLS) {
      throw new GrammarError(`The grammar has more than ${MAX_SYMBOLS} symbols with its repetitions written out`);
    }
  }

  #space(lines: boolean): void {
    const space = lines ? /(?:[ \t\r\n]|#[^\r\n]*)*/y : /(?:[ \t]|#[^\r\n]*)*/y;
    space.lastIndex = this.#at;
    this.#at += space.exec(this.#text)?.[0].length ?? 0;
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.#error(what);
    this.#at += found.length;
    return found;
  }

  #error(expected: string): GrammarError {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 12)) : "its end";
    return new GrammarError(`The grammar has ${found} at ${this.#place()} where ${expected} is expected`);
  }

  #place(): string {
    const before = this.#text.slice(0, this.#at).split("\n");
    return `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
  }
}

function complement(ranges: [number, number][]): number[] {
  const left: number[] = [];
  let next = 0;
  for (const [from, to] of ranges.sort(([a], [b]) => a - b)) {
    if (from > next) left.push(next, from - 1);
    next = Math.max(next, to + 1);
  }
  if (next <= MAX_CODE_POINT) left.push(next, MAX_CODE_POINT);
  return left;
}
