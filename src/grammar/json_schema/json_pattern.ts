/**
 * Regular expressions of JSON Schema as rules over the characters of a JSON string. Only what describes a whole text from
 * its beginning to its end, piece by piece: nothing that looks ahead, back or at what was matched before.
 */
import { type CharSet, GrammarError, type GrammarSymbol, MAX_CODE_POINT } from "../gbnf.ts";
import type { GrammarBuilder } from "../grammar_builder.ts";

/** The pattern cannot be compiled; the message says what of it. */
export class PatternError extends GrammarError {}

const MAX_NESTING = 64;
const MAX_REPETITIONS = 2000;
const DIGITS: CharSet = [0x30, 0x39];
const WORD: CharSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
/** Of all the spaces there are, those that are written. */
const SPACES: CharSet = [0x09, 0x0a, 0x0d, 0x0d, 0x20, 0x20];
const ALL_SPACES: CharSet =
  // deno-fmt-ignore
  [0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f,
    0x3000, 0x3000, 0xfeff, 0xfeff];
const LINE_ENDS: CharSet = [0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029];
/** What stands for itself in a JSON string, and what is escaped. Other control characters are not written. */
const PLAIN: CharSet = [0x20, 0x21, 0x23, 0x5b, 0x5d, MAX_CODE_POINT];
const ESCAPED: ReadonlyMap<number, string> = new Map(
  [[0x22, '\\"'], [0x5c, "\\\\"], [0x08, "\\b"], [0x09, "\\t"], [0x0a, "\\n"], [0x0c, "\\f"], [0x0d, "\\r"]],
);
const CONTROLS: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, f: 0x0c, v: 0x0b, "0": 0 };

/**
 * Texts that match a pattern, as they stand between the quotes of a JSON string.
 *
 * @param pattern The regular expression; begins with `^` and ends with `$`.
 * @param builder Where its rules go.
 * @throws {PatternError} If it cannot be compiled.
 */
export function compilePattern(pattern: string, builder: GrammarBuilder): GrammarSymbol[] {
  try {
    new RegExp(pattern, "u");
  } catch {
    throw new PatternError("it is no regular expression");
  }
  return new Reader(pattern, builder).read();
}

/** Reads an expression that is known to be well-formed. */
class Reader {
  readonly #text: string;
  readonly #builder: GrammarBuilder;
  #at = 0;
  #nesting = 0;

  constructor(text: string, builder: GrammarBuilder) {
    this.#text = text;
    this.#builder = builder;
  }

  read(): GrammarSymbol[] {
    if (!this.#take("^")) throw new PatternError('it must begin with "^"');
    const symbols = this.#sequence();
    if (this.#peek() === "|") throw new PatternError('"|" must stand in a group, or "^" and "$" do not bind all of it');
    if (!this.#take("$") || this.#at < this.#text.length) {
      throw new PatternError('it must end with "$", which stands nowhere else');
    }
    return symbols;
  }

  #sequence(): GrammarSymbol[] {
    const symbols: GrammarSymbol[] = [];
    while (this.#at < this.#text.length && !"|)$".includes(this.#peek())) {
      const part = this.#part();
      const [least, most] = this.#repetition();
      // One by one: they may be more than a call takes.
      for (const symbol of least === 1 && most === 1 ? part : this.#builder.repeat(part, least, most)) {
        symbols.push(symbol);
      }
    }
    return symbols;
  }

  #part(): GrammarSymbol[] {
    if (this.#peek() === "^") throw new PatternError('"^" stands elsewhere than at its beginning');
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return this.#written(this.#class());
    if (this.#take(".")) return this.#written(complement(LINE_ENDS));
    return this.#written(this.#character(false));
  }

  #group(): GrammarSymbol[] {
    if (this.#take("?") && !this.#take(":")) {
      throw new PatternError(`"(?${this.#peek()}" is not supported`);
    }
    if (++this.#nesting > MAX_NESTING) throw new PatternError(`it nests groups more than ${MAX_NESTING} deep`);
    const alternatives = [this.#sequence()];
    while (this.#take("|")) alternatives.push(this.#sequence());
    if (!this.#take(")")) throw new PatternError('"$" stands elsewhere than at its end');
    this.#nesting--;
    return this.#builder.choice(alternatives);
  }

  #repetition(): [least: number, most: number] {
    const found = /(?:[*+?]|\{(\d+)(,(\d*))?\})/y;
    found.lastIndex = this.#at;
    const match = found.exec(this.#text);
    if (match === null) return [1, 1];
    this.#at += match[0].length;
    // Whether it takes as much or as little as it can: the texts are the same.
    this.#take("?");
    if (match[0] === "*") return [0, Infinity];
    if (match[0] === "+") return [1, Infinity];
    if (match[0] === "?") return [0, 1];
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === "" ? Infinity : Number(match[3]);
    if (least > MAX_REPETITIONS || most > MAX_REPETITIONS && most !== Infinity) {
      throw new PatternError(`it repeats something more than ${MAX_REPETITIONS} times`);
    }
    return [least, most];
  }

  #class(): CharSet {
    const excluded = this.#take("^");
    const ranges: number[] = [];
    while (!this.#take("]")) {
      const first = this.#character(true);
      if (this.#peek() === "-" && this.#text[this.#at + 1] !== "]" && first.length === 2 && first[0] === first[1]) {
        this.#at++;
        const last = this.#character(true);
        ranges.push(first[0] as number, last[1] as number);
      } else {
        ranges.push(...first);
      }
    }
    return excluded ? complement(ranges) : ranges;
  }

  /** One character, or an escape that stands for several. */
  #character(inClass: boolean): CharSet {
    const code = this.#text.codePointAt(this.#at) as number;
    this.#at += code > 0xffff ? 2 : 1;
    if (code !== 0x5c) return [code, code];
    const kind = this.#text[this.#at++] as string;
    switch (kind) {
      case "d":
        return DIGITS;
      case "D":
        return complement(DIGITS);
      case "w":
        return WORD;
      case "W":
        return complement(WORD);
      case "s":
        return SPACES;
      case "S":
        return complement(ALL_SPACES);
      case "u":
      case "x":
        return this.#hexadecimal(kind);
    }
    const control = CONTROLS[kind];
    if (control !== undefined) return [control, control];
    // `\b`, `\p`, `\1` and so on; marks stand for themselves.
    if (/[A-Za-z0-9]/.test(kind)) throw new PatternError(`"\\${kind}" is not supported${inClass ? " in a class" : ""}`);
    const char = kind.charCodeAt(0);
    return [char, char];
  }

  #hexadecimal(kind: "u" | "x"): CharSet {
    const digits = kind === "x" ? /([0-9A-Fa-f]{2})/y : /([0-9A-Fa-f]{4})|\{([0-9A-Fa-f]+)\}/y;
    digits.lastIndex = this.#at;
    const match = digits.exec(this.#text);
    const char = Number.parseInt(match?.[1] ?? match?.[2] ?? "", 16);
    // Half of a pair may be followed by the other one.
    if (match === null || char >= 0xd800 && char <= 0xdfff) {
      throw new PatternError(`"\\${kind}" of half a pair is not supported`);
    }
    this.#at += match[0].length;
    return [char, char];
  }

  /** A character of a set, as JSON writes it. */
  #written(set: CharSet): GrammarSymbol[] {
    const plain = both(set, PLAIN);
    const escaped = [...ESCAPED].filter(([char]) => contains(set, char)).map(([, text]) => this.#builder.text(text));
    if (plain.length > 0 && escaped.length === 0) return this.#builder.chars(plain);
    const alternatives = plain.length > 0 ? [this.#builder.chars(plain), ...escaped] : escaped;
    if (alternatives.length === 0) throw new PatternError("it demands a character that cannot be written");
    return this.#builder.choice(alternatives);
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }
}

function contains(set: CharSet, char: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (char >= (set[i] as number) && char <= (set[i + 1] as number)) return true;
  return false;
}

function complement(set: CharSet): number[] {
  const ranges = Array.from(
    { length: set.length / 2 },
    (_, i) => [set[2 * i] as number, set[2 * i + 1] as number] as const,
  );
  const left: number[] = [];
  let next = 0;
  for (const [from, to] of ranges.sort(([a], [b]) => a - b)) {
    if (from > next) left.push(next, from - 1);
    next = Math.max(next, to + 1);
  }
  if (next <= MAX_CODE_POINT) left.push(next, MAX_CODE_POINT);
  return left;
}

/** What two sets have in common. */
function both(one: CharSet, other: CharSet): number[] {
  const common: number[] = [];
  for (let i = 0; i < one.length; i += 2) {
    for (let j = 0; j < other.length; j += 2) {
      const from = Math.max(one[i] as number, other[j] as number);
      const to = Math.min(one[i + 1] as number, other[j + 1] as number);
      if (from <= to) common.push(from, to);
    }
  }
  return common;
}
