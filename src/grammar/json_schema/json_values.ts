/**
 * JSON values as rules, type by type: strings of some length or format, anything at all, and the marks between values.
 * One set for each grammar, so that equal parts of several schemas are one rule. Whitespace: a space may follow each
 * colon and comma, as models like to write, and nothing else may stand between values.
 */
import { type GrammarSymbol, MAX_CODE_POINT } from "../gbnf.ts";
import type { GrammarBuilder } from "../grammar_builder.ts";
import { anyNumber, type Bounds, integersWithin, numbersWithin } from "./json_numbers.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** What stands for itself in a string. */
const PLAIN = [0x20, QUOTE - 1, QUOTE + 1, BACKSLASH - 1, BACKSLASH + 1, MAX_CODE_POINT];
/** Whatever else a string has. */
// deno-lint-ignore no-control-regex
const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;
const DIGIT = [0x30, 0x39];
const HEX = [0x30, 0x39, 0x41, 0x46, 0x61, 0x66];

/** String formats there are rules for. */
export const FORMATS = ["date", "time", "date-time", "uuid"] as const;
export type Format = typeof FORMATS[number];

/**
 * How values are spelled that are not JSON: what a family writes into its calls. What is absent is spelled as JSON
 * spells it.
 */
export interface Spelling {
  /** Tells spellings apart. */
  readonly name: string;
  /** Words for `true`, `false` and `null`. */
  readonly words?: Readonly<Record<"true" | "false" | "null", readonly string[]>>;
  /** A string that stands for this text. */
  readonly text?: (builder: GrammarBuilder, text: string) => GrammarSymbol[];
  /** Any string of so many characters. */
  readonly string?: (builder: GrammarBuilder, least: number, most: number) => GrammarSymbol[];
  /** A string whose characters are these. */
  readonly quoted?: (builder: GrammarBuilder, characters: GrammarSymbol[]) => GrammarSymbol[];
  /** The name of a property; absent: a string. */
  readonly key?: (builder: GrammarBuilder, name: string) => GrammarSymbol[];
  /** Any name of a property. */
  readonly anyKey?: (builder: GrammarBuilder) => GrammarSymbol[];
}

/** As JSON has it. */
export const JSON_SPELLING: Spelling = { name: "json" };

/** The values of one grammar. */
export class JsonValues {
  readonly #builder: GrammarBuilder;
  readonly #spelling: Spelling;
  /** Made once, by name. */
  readonly #made = new Map<string, GrammarSymbol[]>();
  /** At most so many characters of a string, by their number. */
  readonly #upTo: GrammarSymbol[][] = [[]];

  private constructor(builder: GrammarBuilder, spelling: Spelling) {
    this.#builder = builder;
    this.#spelling = spelling;
  }

  /** The values of a grammar. */
  static of(builder: GrammarBuilder, spelling: Spelling = JSON_SPELLING): JsonValues {
    let all = known.get(builder);
    if (all === undefined) known.set(builder, all = new Map());
    let values = all.get(spelling.name);
    if (values === undefined) all.set(spelling.name, values = new JsonValues(builder, spelling));
    return values;
  }

  get comma(): GrammarSymbol[] {
    return this.#once("comma", (b) => b.choice([[...b.text(","), ...b.optional(b.text(" "))]]));
  }

  get colon(): GrammarSymbol[] {
    return this.#once("colon", (b) => b.choice([[...b.text(":"), ...b.optional(b.text(" "))]]));
  }

  get boolean(): GrammarSymbol[] {
    const { true: yes, false: no } = this.#spelling.words ?? { true: ["true"], false: ["false"] };
    return this.#once("boolean", (b) => b.choice([...yes, ...no].map((word) => b.text(word))));
  }

  get null(): GrammarSymbol[] {
    const { null: words } = this.#spelling.words ?? { null: ["null"] };
    return this.#once("null", (b) => b.choice(words.map((word) => b.text(word))));
  }

  /** Exactly this value; `undefined` if it cannot be written in this spelling. */
  literal(value: unknown): GrammarSymbol[] {
    const b = this.#builder;
    if (typeof value === "string") return this.#spelling.text?.(b, value) ?? b.text(JSON.stringify(value));
    if (typeof value === "boolean" || value === null) {
      const words = this.#spelling.words?.[`${value}`] ?? [`${value}`];
      return b.choice(words.map((word) => b.text(word)));
    }
    if (Array.isArray(value)) {
      const items = value.flatMap((item, index) => [...(index === 0 ? [] : this.comma), ...this.literal(item)]);
      return [...b.text("["), ...items, ...b.text("]")];
    }
    if (typeof value !== "object") return b.text(JSON.stringify(value));
    const entries = Object.entries(value).flatMap(([name, entry], index) => [
      ...(index === 0 ? [] : this.comma),
      ...this.key(name),
      ...this.colon,
      ...this.literal(entry),
    ]);
    return [...b.text("{"), ...entries, ...b.text("}")];
  }

  /** The name of a property. */
  key(name: string): GrammarSymbol[] {
    return this.#spelling.key?.(this.#builder, name) ?? this.literal(name);
  }

  /** Any name but these. */
  keyOtherThan(names: readonly string[]): GrammarSymbol[] {
    if (this.#spelling.anyKey !== undefined) return this.#spelling.anyKey(this.#builder);
    return names.length === 0 ? this.anyString : this.stringOtherThan(names);
  }

  /** Whether values are spelled as JSON spells them. */
  get plain(): boolean {
    return this.#spelling.name === JSON_SPELLING.name;
  }

  get number(): GrammarSymbol[] {
    return this.#once("number", (b) => b.choice([anyNumber(b)]));
  }

  /** Numbers within bounds; `undefined` if there are none. */
  numbers(type: "integer" | "number", bounds: Bounds): GrammarSymbol[] | undefined {
    const { least = -Infinity, above = false, most = Infinity, below = false } = bounds;
    const name = [type, least, above, most, below].join(" ");
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    const within = type === "integer" ? integersWithin : numbersWithin;
    const made = within(this.#builder, bounds);
    if (made !== undefined) this.#made.set(name, made);
    return made;
  }

  get anyString(): GrammarSymbol[] {
    return this.#once("string", (b) => b.choice([this.string(0, Infinity)]));
  }

  get anyArray(): GrammarSymbol[] {
    return this.#once("array", (b) => b.choice([[...b.text("["), ...this.#list(this.any), ...b.text("]")]]));
  }

  get anyObject(): GrammarSymbol[] {
    return this.#once("object", (b) => {
      const entry = b.choice([[...this.keyOtherThan([]), ...this.colon, ...this.any]]);
      return b.choice([[...b.text("{"), ...this.#list(entry), ...b.text("}")]]);
    });
  }

  /** Any value. */
  get any(): GrammarSymbol[] {
    const made = this.#made.get("any");
    if (made !== undefined) return made;
    const rule = this.#builder.declare();
    // Before its parts are made: they contain it.
    this.#made.set("any", [{ rule }]);
    this.#builder.define(rule, [
      this.anyObject,
      this.anyArray,
      this.anyString,
      this.number,
      this.boolean,
      this.null,
    ]);
    return [{ rule }];
  }

  /** A string of so many characters. */
  string(least: number, most: number): GrammarSymbol[] {
    const spelled = this.#spelling.string?.(this.#builder, least, most);
    if (spelled !== undefined) return spelled;
    const char = this.#char;
    const quote = this.#builder.text('"');
    const rest = most === Infinity
      ? this.#once("characters", (b) => b.repeat(char, 0, Infinity))
      : this.#charactersUpTo(most - least);
    return [...quote, ...this.#builder.repeat(char, least, least), ...rest, ...quote];
  }

  /** A string of a format. */
  format(format: Format): GrammarSymbol[] {
    return this.#once(`format ${format}`, (b) => {
      const text = {
        date: () => date(b),
        time: () => time(b),
        "date-time": () => [...date(b), ...b.text("T"), ...time(b)],
        uuid: () => uuid(b),
      }[format]();
      return b.choice([this.quoted(text)]);
    });
  }

  /** A string of these characters. */
  quoted(characters: GrammarSymbol[]): GrammarSymbol[] {
    const b = this.#builder;
    return this.#spelling.quoted?.(b, characters) ?? [...b.text('"'), ...characters, ...b.text('"')];
  }

  /** Exactly one of these values, as compact JSON. */
  literals(texts: readonly string[]): GrammarSymbol[] {
    return this.#builder.texts(texts);
  }

  /**
   * Any string but these, without escapes, with which a name could be written in other ways. A name that needs some
   * cannot be written, so it does not have to be left out.
   *
   * @param names What the string is not.
   */
  stringOtherThan(names: readonly string[]): GrammarSymbol[] {
    const b = this.#builder;
    const tail = b.declare();
    b.define(tail, [[{ chars: PLAIN }, { rule: tail }], b.text('"')]);
    interface Node {
      rule: number;
      isName: boolean;
      next: Map<number, Node>;
    }
    const node = (): Node => ({ rule: b.declare(), isName: false, next: new Map() });
    const root = node();
    const nodes = [root];
    for (const name of names.filter((name) => !NEEDS_ESCAPE.test(name))) {
      let at = root;
      for (const char of name) {
        const code = char.codePointAt(0) as number;
        let next = at.next.get(code);
        if (next === undefined) {
          at.next.set(code, next = node());
          nodes.push(next);
        }
        at = next;
      }
      at.isName = true;
    }
    for (const { rule, isName, next } of nodes) {
      const taken = [...next.keys()].sort((a, b) => a - b);
      const others = without(PLAIN, taken);
      b.define(rule, [
        ...taken.map((code): GrammarSymbol[] => [{ chars: [code, code] }, { rule: next.get(code)?.rule ?? tail }]),
        [{ chars: others }, { rule: tail }],
        ...(isName ? [] : [b.text('"')]),
      ]);
    }
    return [...b.text('"'), { rule: root.rule }];
  }

  get #char(): GrammarSymbol[] {
    return this.#once("character", (b) =>
      b.choice([
        b.chars(PLAIN),
        [
          ...b.text("\\"),
          ...b.choice([
            b.chars([...'"\\/bfnrt'].flatMap((char) => [char.charCodeAt(0), char.charCodeAt(0)])),
            // Not half of a pair: a character beyond is written as itself.
            [
              ...b.text("u"),
              ...b.choice([
                [...b.chars([0x30, 0x39, 0x41, 0x43, 0x45, 0x46, 0x61, 0x63, 0x65, 0x66]), ...b.chars(HEX)],
                [...b.chars([0x44, 0x44, 0x64, 0x64]), ...b.chars([0x30, 0x37])],
              ]),
              ...b.chars(HEX),
              ...b.chars(HEX),
            ],
          ]),
        ],
      ]));
  }

  #charactersUpTo(most: number): GrammarSymbol[] {
    for (let length = this.#upTo.length; length <= most; length++) {
      this.#upTo.push(this.#builder.choice([[...this.#char, ...this.#upTo[length - 1] as GrammarSymbol[]], []]));
    }
    return this.#upTo[most] as GrammarSymbol[];
  }

  #list(item: readonly GrammarSymbol[]): GrammarSymbol[] {
    const b = this.#builder;
    return b.optional([...item, ...b.repeat([...this.comma, ...item], 0, Infinity)]);
  }

  #once(name: string, make: (builder: GrammarBuilder) => GrammarSymbol[]): GrammarSymbol[] {
    let made = this.#made.get(name);
    if (made === undefined) this.#made.set(name, made = make(this.#builder));
    return made;
  }
}

const known = new WeakMap<GrammarBuilder, Map<string, JsonValues>>();

/** A set without some of its characters, which are sorted. */
function without(set: readonly number[], taken: readonly number[]): number[] {
  const left: number[] = [];
  for (let i = 0; i < set.length; i += 2) {
    let from = set[i] as number;
    const to = set[i + 1] as number;
    for (const code of taken) {
      if (code < from || code > to) continue;
      if (code > from) left.push(from, code - 1);
      from = code + 1;
    }
    if (from <= to) left.push(from, to);
  }
  return left;
}

/** A day there is, RFC 3339. */
function date(b: GrammarBuilder): GrammarSymbol[] {
  const two = (first: string, others: string): GrammarSymbol[] => [...set(b, first), ...set(b, others)];
  const dash = b.text("-");
  const to28 = [two("0", "1-9"), two("1", "0-9"), two("2", "0-8")];
  const to30 = [...to28, b.text("29"), b.text("30")];
  const year = b.repeat(b.chars(DIGIT), 4, 4);
  // Of centuries only every fourth has this day; none is allowed.
  const leapYear = [
    ...b.chars(DIGIT),
    ...b.chars(DIGIT),
    ...b.choice([two("0", "48"), two("2468", "048"), two("13579", "26")]),
  ];
  return b.choice([
    [
      ...year,
      ...dash,
      ...b.choice([
        [...b.choice([two("0", "13578"), two("1", "02")]), ...dash, ...b.choice([...to30, b.text("31")])],
        [...b.choice([two("0", "469"), b.text("11")]), ...dash, ...b.choice(to30)],
        [...b.text("02-"), ...b.choice(to28)],
      ]),
    ],
    [...leapYear, ...b.text("-02-29")],
  ]);
}

/** A time with its offset, RFC 3339, without leap seconds. */
function time(b: GrammarBuilder): GrammarSymbol[] {
  const hours = b.choice([[...set(b, "01"), ...b.chars(DIGIT)], [...b.text("2"), ...set(b, "0-3")]]);
  const sixty = [...set(b, "0-5"), ...b.chars(DIGIT)];
  const colon = b.text(":");
  return [
    ...hours,
    ...colon,
    ...sixty,
    ...colon,
    ...sixty,
    ...b.optional([...b.text("."), ...b.repeat(b.chars(DIGIT), 1, 9)]),
    ...b.choice([b.text("Z"), [...set(b, "+-"), ...hours, ...colon, ...sixty]]),
  ];
}

function uuid(b: GrammarBuilder): GrammarSymbol[] {
  return [8, 4, 4, 4, 12].flatMap((digits, i) => [
    ...(i === 0 ? [] : b.text("-")),
    ...b.repeat(b.chars(HEX), digits, digits),
  ]);
}

/** The characters of a text; of `0-5`, those between. */
function set(b: GrammarBuilder, text: string): GrammarSymbol[] {
  if (/^\d-\d$/.test(text)) return b.chars([text.charCodeAt(0), text.charCodeAt(2)]);
  return b.chars([...text].flatMap((char) => [char.charCodeAt(0), char.charCodeAt(0)]));
}
