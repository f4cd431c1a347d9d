/**
 * Regular expressions of JSON Schema, which are ECMAScript's, as languages. A text fits where the expression matches
 * somewhere in it. What stands before a place is known as a language only outside of groups, so expressions look back
 * only there; nothing can look at what was matched before.
 */
import { type AST, RegExpParser } from "@eslint-community/regexpp";
import type { CharSet } from "../rules.ts";
import { ALL_CHARS, complement, normalized } from "./chars.ts";
import { type Language, LanguageError, type Languages } from "./language.ts";
import { charsWith } from "./unicode.ts";

type Node = AST.Element | AST.QuantifiableElement;
/** Whether a place is at the start of the text. */
type AtStart = "yes" | "no" | "maybe";

const MAX_LENGTH = 20_000;
const MAX_NESTING = 64;
/** Maximum expansions of a repeated group with assertions. */
const MAX_WRITTEN = 64;
const WORD: CharSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const DIGITS: CharSet = [0x30, 0x39];
const LINE_ENDS: CharSet = [0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029];
const SPACES: CharSet =
  // deno-fmt-ignore
  [0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f,
    0x3000, 0x3000, 0xfeff, 0xfeff];

/**
 * The language of an expression.
 *
 * @param pattern The expression.
 * @param languages Where its parts go.
 * @throws {LanguageError} If it is invalid or not supported; the message says why.
 */
export function languageOf(pattern: string, languages: Languages): Language {
  return languages.named(`/${pattern}`, () => new Reader(languages, "refused").read(parse(pattern)));
}

/**
 * The same, and perhaps more: what repeats a group may be any text. What is not in it does not match, either.
 *
 * @throws {LanguageError} As {@linkcode languageOf}, and where a repetition has to be absent.
 */
export function widerLanguageOf(pattern: string, languages: Languages): Language {
  return languages.named(`wider /${pattern}`, () => new Reader(languages, "any text").read(parse(pattern)));
}

function parse(pattern: string): AST.Pattern {
  if (pattern.length > MAX_LENGTH) throw new LanguageError(`it has more than ${MAX_LENGTH} characters`);
  refuseNesting(pattern);
  const parser = new RegExpParser({ ecmaVersion: 2025 });
  try {
    return parser.parsePattern(pattern, 0, pattern.length, { unicode: true });
  } catch {
    // Many patterns are written for engines that allow escapes of any punctuation.
  }
  try {
    const parsed = parser.parsePattern(pattern, 0, pattern.length, { unicode: false });
    if (/[\ud800-\udfff]|\\u[dD][89a-fA-F]/.test(pattern)) throw new LanguageError("it has half of a surrogate pair");
    return parsed;
  } catch (error) {
    if (error instanceof LanguageError) throw error;
    throw new LanguageError("it is no regular expression");
  }
}

/** Maximum nesting; the parser would overflow the stack. */
function refuseNesting(pattern: string): void {
  let depth = 0;
  for (const [part] of pattern.matchAll(/\\[^]|\[(?:\\[^]|[^\]\\])*\]|[()]/g)) {
    if (part === "(" && ++depth > MAX_NESTING) {
      throw new LanguageError(`it nests groups more than ${MAX_NESTING} deep`);
    }
    if (part === ")") depth--;
  }
}

class Reader {
  readonly #languages: Languages;
  readonly #repetitions: "refused" | "any text";
  readonly #asserting = new WeakMap<Node, boolean>();
  #loops = 0;

  constructor(languages: Languages, repetitions: "refused" | "any text") {
    this.#languages = languages;
    this.#repetitions = repetitions;
  }

  read({ alternatives, raw }: AST.Pattern): Language {
    const l = this.#languages;
    return l.or(...alternatives.map(({ elements }) => {
      if (elements.some(looksBack)) return this.#behind(elements, { name: raw });
      const first = this.#sequence(elements, l.any, "yes");
      const later = this.#sequence(elements, l.any, "no");
      if (later === l.none) return first;
      return first === later ? l.concat(l.any, later) : l.or(first, l.concat(l.chars(ALL_CHARS), l.any, later));
    }));
  }

  /** Elements with lookbehinds among them, from left to right. */
  #behind(elements: readonly AST.Element[], { name }: { name: string }): Language {
    const l = this.#languages;
    const [first] = elements;
    const anchored = first?.type === "Assertion" && first.kind === "start";
    const endsInWord = l.concat(l.any, l.chars(WORD));
    const startsWithWord = l.concat(l.chars(WORD), l.any);
    /** @param before The possible prefixes. @param ahead What must follow. */
    const go = (before: Language, from: number, ahead: Language): Language => {
      if (before === l.none) return before;
      const next = elements.findIndex((element, index) => index >= from && looksBack(element));
      if (next === -1) {
        return l.concat(before, l.and(this.#sequence(elements.slice(from), l.any, "maybe"), ahead));
      }
      const between = elements.slice(from, next);
      if (between.some((element) => this.#asserts(element))) {
        throw new LanguageError("it looks back behind what looks ahead");
      }
      const part = this.#sequence(between, l.empty, "maybe");
      if (ahead !== l.any && part.nullable) throw new LanguageError(`it looks back twice at one place: ${name}`);
      const all = l.concat(before, ahead === l.any ? part : l.and(part, ahead));
      const element = elements[next] as AST.LookbehindAssertion | AST.WordBoundaryAssertion;
      if (element.kind === "lookbehind") {
        const looked = l.concat(l.any, this.#alternatives(element.alternatives, l.empty, "maybe"));
        return go(l.and(all, element.negate ? l.not(looked) : looked), next + 1, l.any);
      }
      const [word, other] = element.negate
        ? [startsWithWord, l.not(startsWithWord)]
        : [l.not(startsWithWord), startsWithWord];
      return l.or(
        go(l.and(all, endsInWord), next + 1, word),
        go(l.and(all, l.not(endsInWord)), next + 1, other),
      );
    };
    return anchored ? go(l.empty, 1, l.any) : go(l.any, 0, l.any);
  }

  #alternatives(alternatives: readonly AST.Alternative[], rest: Language, start: AtStart): Language {
    return this.#languages.or(...alternatives.map(({ elements }) => this.#sequence(elements, rest, start)));
  }

  /** Elements and what follows them. */
  #sequence(elements: readonly AST.Element[], rest: Language, start: AtStart): Language {
    const l = this.#languages;
    let all = rest;
    for (let end = elements.length; end > 0;) {
      let from = end - 1;
      const element = elements[from] as AST.Element;
      if (element.type === "Character") {
        while (elements[from - 1]?.type === "Character") from--;
        const chars = elements.slice(from, end) as AST.Character[];
        all = l.concat(l.text(String.fromCodePoint(...chars.map((char) => this.#char(char)))), all);
      } else {
        all = this.#element(element, all, atStart(elements, from, start));
      }
      end = from;
    }
    return all;
  }

  #element(element: Node, rest: Language, start: AtStart): Language {
    const l = this.#languages;
    switch (element.type) {
      case "Assertion":
        return this.#assertion(element, rest, start);
      case "Quantifier":
        return this.#quantifier(element, rest, start);
      case "Group":
        if (element.modifiers !== null && element.modifiers !== undefined) {
          throw new LanguageError(`"${element.raw.slice(0, 16)}" changes how it is read`);
        }
        return this.#group(element, rest, start);
      case "CapturingGroup":
        return this.#group(element, rest, start);
      case "Backreference":
        if (this.#repetitions === "refused" || isDenied(element)) {
          throw new LanguageError(`"${element.raw}" repeats what was matched before`);
        }
        return l.concat(l.any, rest);
      case "Character":
        return l.concat(l.chars([this.#char(element), this.#char(element)]), rest);
      case "CharacterSet":
        return l.concat(l.chars(setOf(element)), rest);
      case "CharacterClass": {
        const ranges = element.elements.flatMap((part): CharSet => {
          switch (part.type) {
            case "Character":
              return [this.#char(part), this.#char(part)];
            case "CharacterClassRange":
              return [part.min.value, part.max.value];
            case "CharacterSet":
              return setOf(part);
            default:
              throw new LanguageError(`"${element.raw}" is a class of texts`);
          }
        });
        const set = normalized(ranges);
        return l.concat(l.chars(element.negate ? complement(set) : set), rest);
      }
      default:
        throw new LanguageError(`"${element.raw}" is not supported`);
    }
  }

  #group({ alternatives }: AST.Group | AST.CapturingGroup, rest: Language, start: AtStart): Language {
    const asserts = alternatives.some(({ elements }) => elements.some((element) => this.#asserts(element)));
    if (asserts) return this.#alternatives(alternatives, rest, start);
    return this.#languages.concat(this.#alternatives(alternatives, this.#languages.empty, start), rest);
  }

  #assertion(element: AST.Assertion, rest: Language, start: AtStart): Language {
    const l = this.#languages;
    switch (element.kind) {
      case "start":
        if (start === "maybe") throw new LanguageError('"^" stands behind something that may be empty');
        return start === "yes" ? rest : l.none;
      case "end":
        return l.and(l.empty, rest);
      case "lookahead": {
        const ahead = this.#alternatives(element.alternatives, l.any, start);
        return l.and(element.negate ? l.not(ahead) : ahead, rest);
      }
      default:
        throw new LanguageError(`"${element.raw}" looks back within a group`);
    }
  }

  #quantifier({ element, min, max, raw }: AST.Quantifier, rest: Language, before: AtStart): Language {
    const l = this.#languages;
    const start = before === "no" ? "no" : "maybe";
    const most = max ?? Infinity;
    if (!this.#asserts(element)) {
      return l.concat(l.repeat(this.#element(element, l.empty, start), min, most), rest);
    }
    if (leastLength(element) === 0) throw new LanguageError(`"${raw.slice(0, 32)}" may repeat nothing`);
    if (min > MAX_WRITTEN || most !== Infinity && most > MAX_WRITTEN) {
      throw new LanguageError(`"${raw.slice(0, 32)}" repeats what looks ahead more than ${MAX_WRITTEN} times`);
    }
    let all = most === Infinity
      ? l.loop(
        `${++this.#loops} of ${raw}`,
        rest.nullable,
        (self) => l.or(this.#element(element, self, start), rest),
      )
      : rest;
    for (let i = most === Infinity ? min : most; i > 0; i--) {
      all = i > min ? l.or(this.#element(element, all, start), rest) : this.#element(element, all, start);
    }
    return all;
  }

  #char({ value, raw }: AST.Character): number {
    // `\A`, `\Z` and others are syntax of other engines.
    if (/^\\[A-Za-z]$/.test(raw) && raw.charCodeAt(1) === value) throw new LanguageError(`"${raw}" is not supported`);
    return value;
  }

  #asserts(node: Node): boolean {
    const known = this.#asserting.get(node);
    if (known !== undefined) return known;
    const asserts = node.type === "Assertion" ||
      node.type === "Quantifier" && this.#asserts(node.element) ||
      (node.type === "Group" || node.type === "CapturingGroup") &&
        node.alternatives.some(({ elements }) => elements.some((element) => this.#asserts(element)));
    this.#asserting.set(node, asserts);
    return asserts;
  }
}

function looksBack(element: AST.Element): boolean {
  return element.type === "Assertion" && (element.kind === "lookbehind" || element.kind === "word");
}

function atStart(elements: readonly AST.Element[], index: number, start: AtStart): AtStart {
  const before = elements.slice(0, index).filter(({ type }) => type !== "Assertion");
  if (before.length === 0 || start === "no") return start;
  return before.some((element) => leastLength(element) > 0) ? "no" : "maybe";
}

/** Minimum length of an element. */
function leastLength(node: Node): number {
  switch (node.type) {
    case "Assertion":
    case "Backreference":
      return 0;
    case "Quantifier":
      return node.min * leastLength(node.element);
    case "Group":
    case "CapturingGroup":
      return Math.min(
        ...node.alternatives.map(({ elements }) => elements.reduce((sum, element) => sum + leastLength(element), 0)),
      );
    default:
      return 1;
  }
}

function setOf(set: AST.CharacterSet): CharSet {
  switch (set.kind) {
    case "any":
      return complement(LINE_ENDS);
    case "digit":
      return set.negate ? complement(DIGITS) : DIGITS;
    case "space":
      return set.negate ? complement(SPACES) : SPACES;
    case "word":
      return set.negate ? complement(WORD) : WORD;
    case "property":
      return charsWith(set.raw);
  }
}

/** Whether an element is within a negative lookaround. */
function isDenied(element: AST.Element): boolean {
  for (let node: AST.Node | null = element; node !== null; node = node.parent) {
    if (node.type === "Assertion" && "negate" in node && node.negate) return true;
  }
  return false;
}
