/**
 * Regular languages as expressions with Brzozowski derivatives: the derivative is what is left of a language after a
 * character. Languages can be joined, intersected and negated, and counts are never expanded: an automaton is built
 * lazily, along the matched texts.
 *
 * Expressions are interned: within one set of languages, equal expressions are the same object.
 */
import { type CharSet, GrammarError } from "../rules.ts";
import { ALL_CHARS, contains, intersection, normalized, union } from "./chars.ts";
import { type Trie, trieOf } from "./trie.ts";

/** A language is too complex; the message is meant for the caller. */
export class LanguageError extends GrammarError {}

/** A language, or a derivative of one. */
export interface Language {
  readonly id: number;
  /** Whether it contains the empty text. */
  readonly nullable: boolean;
  /** Whether emptiness needs a search. Others are non-empty, because the empty language is simplified away. */
  readonly open: boolean;
  readonly form: Form;
  /** The complement; computed on demand. */
  negation?: Language;
}

/** A language given as a deterministic automaton. */
export interface Machine<S = unknown> {
  readonly start: S;
  /** Its alphabet; each character is a class of its own. */
  readonly alphabet: CharSet;
  /** Transition, if it leads to a state that can be completed. */
  step(state: S, char: number): S | undefined;
  accepts(state: S): boolean;
  /** Equal states have equal keys. */
  key(state: S): string;
}

type Form =
  | { readonly op: "none" | "empty" }
  | { readonly op: "chars"; readonly set: CharSet }
  | { readonly op: "concat"; readonly first: Language; readonly rest: Language }
  | { readonly op: "or" | "and"; readonly parts: readonly Language[] }
  | { readonly op: "not"; readonly part: Language }
  | { readonly op: "repeat"; readonly part: Language; readonly least: number; readonly most: number }
  | { readonly op: "loop"; body?: Language }
  | { readonly op: "words"; readonly node: Trie }
  | { readonly op: "machine"; readonly machine: Machine; readonly state: unknown };

/** Limits before matching: expressions of one schema, and derivatives. */
const MAX_LANGUAGES = 50_000;
const MAX_WORK = 1_000_000;
/**
 * Limits during matching: all expressions, and derivatives for one character, some 20 ms. Nested repetitions have as
 * many derivatives as there are ways to divide the text among them.
 */
const MAX_LANGUAGES_MATCHING = 1_000_000;
const MAX_STEP_WORK = 20_000;
/** The same for one character where it has to be searched for whether a text can still be completed, some 20 ms, too. */
export const MAX_SEARCH_WORK = 50_000;
/** Maximum words compared individually with another language. */
const MANY_WORDS = 20_000;
/** Tries with more nodes are not compared with other words: large enumerations would take too long. */
const MOST_NODES = 1024;

/** Creates expressions, and computes derivatives. */
export class Expressions {
  readonly #known = new Map<string, Language>();
  readonly #sets = new Map<string, number>();
  readonly #tries = new Map<Trie, Language>();
  readonly #machines = new Map<Machine, number>();
  readonly #made = new Map<string, Language>();
  #count = 0;
  #work = 0;
  #mostLanguages = MAX_LANGUAGES;
  #mostWork = MAX_WORK;
  #isMatching = false;

  /** The empty language. */
  readonly none: Language = this.#make("none", false, { op: "none" });
  /** The empty text. */
  readonly empty: Language = this.#make("empty", true, { op: "empty" });
  readonly #char: Language = this.chars(ALL_CHARS);
  /** Any text. */
  readonly any: Language = this.#make("any", true, { op: "repeat", part: this.#char, least: 0, most: Infinity });

  /** Start another schema: resets the work limit. */
  begin(): void {
    this.#isMatching = false;
    this.#mostLanguages = this.#count + MAX_LANGUAGES;
    this.#mostWork = this.#work + MAX_WORK;
  }

  /** Matching begins: from now on, work is limited for each character, and in total by whoever matches. */
  release(): void {
    this.#isMatching = true;
    this.#mostLanguages = this.#count + MAX_LANGUAGES_MATCHING;
    this.#mostWork = Infinity;
  }

  /** Find derivatives, with limited work in matching. A step within another is part of it. */
  protected step<T>(derive: () => T, most = MAX_STEP_WORK): T {
    if (!this.#isMatching || this.#mostWork < Infinity) return derive();
    this.#mostWork = this.#work + most;
    try {
      return derive();
    } finally {
      this.#mostWork = Infinity;
    }
  }

  /** Derivatives found so far. */
  get work(): number {
    return this.#work;
  }

  /** A named language, created once. */
  named(name: string, make: () => Language): Language {
    return this.#made.getOrInsertComputed(name, make);
  }

  /** One character of a set. */
  chars(set: CharSet): Language {
    const chars = intersection(normalized(set), ALL_CHARS);
    if (chars.length === 0) return this.none;
    return this.#known.get(`[${chars.join()}`) ?? this.#make(`[${chars.join()}`, false, { op: "chars", set: chars });
  }

  /** Exactly this text. */
  text(text: string): Language {
    return this.words([text]);
  }

  /** One of these texts. */
  words(words: Iterable<string>): Language {
    return this.#trie(trieOf(words));
  }

  /** The language of an automaton. */
  machine<S>(machine: Machine<S>): Language {
    return this.#machine(machine as Machine, machine.start);
  }

  concat(...parts: readonly Language[]): Language {
    return parts.reduceRight((rest, first) => this.#concat(first, rest), this.empty);
  }

  or(...parts: readonly Language[]): Language {
    const all = new Set<Language>();
    const words: Trie[] = [];
    let chars: CharSet | undefined;
    for (const part of parts.flatMap((part) => part.form.op === "or" ? part.form.parts : [part])) {
      const { form } = part;
      if (part === this.any) return this.any;
      if (form.op === "chars") chars = chars === undefined ? form.set : union(chars, form.set);
      else if (form.op === "words") words.push(form.node);
      else if (form.op !== "none") all.add(part);
    }
    if (chars !== undefined) all.add(this.chars(chars));
    const [only, second] = words;
    if (only !== undefined) {
      all.add(second === undefined ? this.#trie(only) : this.words(words.flatMap((node) => [...node.words()])));
    }
    if (all.delete(this.empty) && all.values().every(({ nullable }) => !nullable)) all.add(this.empty);
    return this.#set("or", all, this.none);
  }

  and(...parts: readonly Language[]): Language {
    const all = new Set<Language>();
    for (const part of parts.flatMap((part) => part.form.op === "and" ? part.form.parts : [part])) {
      if (part === this.none) return this.none;
      if (part !== this.any) all.add(part);
    }
    for (const part of all) if (part.form.op === "not" && all.has(part.form.part)) return this.none;
    if (all.has(this.empty)) return all.values().every(({ nullable }) => nullable) ? this.empty : this.none;
    const finite = all.values().find(({ form }) => form.op === "words");
    if (finite?.form.op === "words" && all.size > 1 && finite.form.node.count <= MANY_WORDS) {
      all.delete(finite);
      return this.words(finite.form.node.words().filter((word) => all.values().every((part) => this.has(part, word))));
    }
    const sets = [...all].flatMap(({ form }) => form.op === "chars" ? [form.set] : []);
    if (sets.length > 1) {
      for (const part of all) if (part.form.op === "chars") all.delete(part);
      const common = this.chars(sets.reduce(intersection));
      if (common === this.none) return common;
      all.add(common);
    }
    return this.#set("and", all, this.any);
  }

  not(part: Language): Language {
    if (part.form.op === "not") return part.form.part;
    if (part === this.none) return this.any;
    if (part === this.any) return this.none;
    return part.negation ??= this.#make(`!${part.id}`, !part.nullable, { op: "not", part });
  }

  optional(part: Language): Language {
    return this.or(part, this.empty);
  }

  repeat(part: Language, least: number, most: number): Language {
    if (part.nullable) least = 0;
    if (most === 0 || part === this.empty) return this.empty;
    if (part === this.none) return least === 0 ? this.empty : this.none;
    if (least === 1 && most === 1) return part;
    if (part === this.#char && least === 0 && most === Infinity) return this.any;
    const { form } = part;
    if (form.op === "repeat" && form.least === 0 && form.most === Infinity) return part;
    return this.#known.get(`*${part.id},${least},${most}`) ??
      this.#make(`*${part.id},${least},${most}`, least === 0, { op: "repeat", part, least, most });
  }

  /**
   * A recursive language; recursion happens after at least one character.
   *
   * @param name Unique name.
   * @param nullable Whether the empty text is in it.
   */
  loop(name: string, nullable: boolean, body: (self: Language) => Language): Language {
    const known = this.#known.get(`@${name}`);
    if (known !== undefined) return known;
    const form: Extract<Form, { op: "loop" }> = { op: "loop" };
    const self = this.#make(`@${name}`, nullable, form);
    form.body = body(self);
    return self;
  }

  /** Texts that contain none of these. */
  without(stops: readonly string[]): Language {
    return this.and(...stops.map((stop) => this.not(this.concat(this.any, this.text(stop), this.any))));
  }

  /** Whether a language contains a text. */
  has(language: Language, text: string): boolean {
    let at = language;
    for (const char of text) {
      if (at === this.none) return false;
      at = this.after(at, char.codePointAt(0) as number);
    }
    return at.nullable;
  }

  /** Character sets that distinguish derivatives. */
  protected firsts({ form }: Language, sets: Set<CharSet>): void {
    switch (form.op) {
      case "chars":
        sets.add(form.set);
        break;
      case "concat":
        this.firsts(form.first, sets);
        if (form.first.nullable) this.firsts(form.rest, sets);
        break;
      case "or":
      case "and":
        for (const part of form.parts) this.firsts(part, sets);
        break;
      case "not":
      case "repeat":
        this.firsts(form.part, sets);
        break;
      case "loop":
        this.firsts(form.body as Language, sets);
        break;
      case "words":
        for (const char of form.node.next.keys()) sets.add([char, char]);
        break;
      case "machine":
        for (let i = 0; i < form.machine.alphabet.length; i += 2) {
          const last = form.machine.alphabet[i + 1] as number;
          for (let char = form.machine.alphabet[i] as number; char <= last; char++) sets.add([char, char]);
        }
    }
  }

  /** The derivative of a language. */
  protected after(language: Language, char: number): Language {
    if (++this.#work > this.#mostWork) throw this.#tooComplex();
    const { form } = language;
    switch (form.op) {
      case "none":
      case "empty":
        return this.none;
      case "chars":
        return contains(form.set, char) ? this.empty : this.none;
      case "concat": {
        const first = this.#concat(this.after(form.first, char), form.rest);
        return form.first.nullable ? this.or(first, this.after(form.rest, char)) : first;
      }
      case "or":
        return this.or(...form.parts.map((part) => this.after(part, char)));
      case "and": {
        const parts: Language[] = [];
        for (const part of form.parts) {
          const after = this.after(part, char);
          if (after === this.none) return after;
          parts.push(after);
        }
        return this.and(...parts);
      }
      case "not":
        return this.not(this.after(form.part, char));
      case "repeat": {
        const { part, least, most } = form;
        return this.#concat(this.after(part, char), this.repeat(part, Math.max(0, least - 1), most - 1));
      }
      case "loop":
        return this.after(form.body as Language, char);
      case "words": {
        const next = form.node.next.get(char);
        return next === undefined ? this.none : this.#trie(next);
      }
      case "machine": {
        const state = contains(form.machine.alphabet, char) ? form.machine.step(form.state, char) : undefined;
        return state === undefined ? this.none : this.#machine(form.machine, state);
      }
    }
  }

  #concat(first: Language, rest: Language): Language {
    if (first === this.none || rest === this.none) return this.none;
    if (first === this.empty) return rest;
    if (rest === this.empty) return first;
    if (first === this.any && rest === this.any) return this.any;
    const { form } = first;
    if (form.op === "concat") return this.#concat(form.first, this.#concat(form.rest, rest));
    const key = `.${first.id},${rest.id}`;
    return this.#known.get(key) ??
      this.#make(key, first.nullable && rest.nullable, { op: "concat", first, rest });
  }

  #set(op: "or" | "and", all: ReadonlySet<Language>, none: Language): Language {
    const [only = none] = all;
    if (all.size <= 1) return only;
    const parts = [...all].sort((a, b) => a.id - b.id);
    const key = `${op}${parts.map(({ id }) => id).join()}`;
    const nullable = op === "or" ? parts.some((part) => part.nullable) : parts.every((part) => part.nullable);
    return this.#known.get(key) ?? this.#make(key, nullable, { op, parts });
  }

  #trie(node: Trie): Language {
    if (node.count === 0) return this.none;
    if (node.next.size === 0) return this.empty;
    let language = this.#tries.get(node);
    if (language === undefined) {
      // Merges equal tries; otherwise an expression might have infinitely many derivatives.
      const key = node.size > MOST_NODES ? `w${this.#tries.size}` : `w${JSON.stringify([...node.words()].sort())}`;
      language = this.#known.get(key) ?? this.#make(key, node.ends, { op: "words", node });
      this.#tries.set(node, language);
    }
    return language;
  }

  #machine(machine: Machine, state: unknown): Language {
    const id = this.#machines.getOrInsert(machine, this.#machines.size);
    const key = `m${id} ${machine.key(state)}`;
    return this.#known.get(key) ?? this.#make(key, machine.accepts(state), { op: "machine", machine, state });
  }

  #tooComplex(): LanguageError {
    return new LanguageError(this.#isMatching ? "A pattern is too ambiguous to be followed" : "it is too complex");
  }

  #make(key: string, nullable: boolean, form: Form): Language {
    if (++this.#count > this.#mostLanguages) throw this.#tooComplex();
    const language = { id: this.#count, nullable, open: isOpen(form), form };
    this.#known.set(key, language);
    return language;
  }
}

function isOpen(form: Form): boolean {
  switch (form.op) {
    case "and":
    case "not":
    case "loop":
      return true;
    case "concat":
      return form.first.open || form.rest.open;
    case "or":
      return form.parts.some(({ open }) => open);
    case "repeat":
      return form.part.open;
    default:
      return false;
  }
}
