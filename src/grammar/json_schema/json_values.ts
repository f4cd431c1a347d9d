/**
 * JSON values as rules, by type: strings of a language, arbitrary values, and punctuation. One set per grammar, so that
 * equal parts of several schemas share rules. Whitespace: an optional space after each colon and comma, as models tend
 * to write; none elsewhere.
 */
import { type CharSet, type GrammarSymbol, MAX_CODE_POINT } from "../rules.ts";
import { type CharacterWriter, type GrammarBuilder, PLAIN_CHARACTERS } from "../grammar_builder.ts";
import { ALL_CHARS, contains, intersection } from "../language/chars.ts";
import type { Language, Languages } from "../language/language.ts";
import { anyNumber } from "./json_numbers.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Characters that need no escape in a string. */
const PLAIN: CharSet = [0x20, QUOTE - 1, QUOTE + 1, BACKSLASH - 1, BACKSLASH + 1, 0xd7ff, 0xe000, MAX_CODE_POINT];
const HEX = [0x30, 0x39, 0x41, 0x46, 0x61, 0x66];
/** Characters with a short escape. */
const ESCAPED: readonly number[] = [...Array.from({ length: 0x20 }, (_, char) => char), QUOTE, BACKSLASH];

/** How a string is written: delimiters and characters. */
export interface TextStyle {
  readonly open: GrammarSymbol[];
  readonly close: GrammarSymbol[];
  readonly characters: CharacterWriter;
  /** The strings that can be written this way; absent: all. */
  readonly within?: (languages: Languages) => Language;
}

/** Length bounds of a string. */
export interface Lengths {
  readonly least?: number;
  readonly most?: number;
}

/**
 * How values are spelled in formats other than JSON, as model families write in their calls. Absent parts: as in JSON.
 */
export interface Spelling {
  /** Unique name. */
  readonly name: string;
  /** Spellings of `true`, `false` and `null`. */
  readonly words?: Readonly<Record<"true" | "false" | "null", readonly string[]>>;
  /** Alternative styles of strings. */
  readonly texts?: readonly TextStyle[];
  /** Further styles for enumerated strings. */
  readonly told?: readonly TextStyle[];
  /** Property names; absent: as strings. */
  readonly names?: TextStyle;
}

/** JSON's own spelling. */
export const JSON_SPELLING: Spelling = { name: "json" };

const JSON_CHARACTERS: CharacterWriter = {
  name: "json",
  write: (b, chars) => {
    if (chars === ALL_CHARS || chars.length === ALL_CHARS.length && chars.every((end, i) => end === ALL_CHARS[i])) {
      return [JsonValues.of(b).character];
    }
    const plain = intersection(chars, PLAIN);
    const alternatives: GrammarSymbol[][] = plain.length > 0 ? [b.chars(plain)] : [];
    const escapes = ESCAPED.filter((char) => contains(chars, char));
    const [only] = escapes;
    // A forced prefix is text; a single stack for several alternatives keeps states small.
    if (only !== undefined) {
      alternatives.push(
        escapes.length === 1 ? escaped(b, only) : [...b.text("\\"), ...JsonValues.of(b).escapes(escapes)],
      );
    }
    return alternatives;
  },
};

function escaped(b: GrammarBuilder, char: number): GrammarSymbol[] {
  return b.text(JSON.stringify(String.fromCharCode(char)).slice(1, -1));
}

/** A quoted JSON string. */
export function jsonStyle(b: GrammarBuilder): TextStyle {
  const quote = b.text('"');
  return { open: quote, close: quote, characters: JSON_CHARACTERS };
}

/** Builds the values of one grammar. */
export class JsonValues {
  readonly #builder: GrammarBuilder;
  readonly #spelling: Spelling;
  readonly #texts: readonly TextStyle[];
  readonly #names: readonly TextStyle[];
  /** Rules by name. */
  readonly #made = new Map<string, GrammarSymbol[]>();

  private constructor(builder: GrammarBuilder, spelling: Spelling) {
    this.#builder = builder;
    this.#spelling = spelling;
    this.#texts = spelling.texts ?? [jsonStyle(builder)];
    this.#names = spelling.names === undefined ? this.#texts : [spelling.names];
  }

  /** The builder of a grammar. */
  static of(builder: GrammarBuilder, spelling: Spelling = JSON_SPELLING): JsonValues {
    const all = known.getOrInsertComputed(builder, () => new Map());
    return all.getOrInsertComputed(spelling.name, () => new JsonValues(builder, spelling));
  }

  get comma(): GrammarSymbol[] {
    return this.#once("comma", (b) => b.choice([[...b.text(","), ...b.optional(b.text(" "))]]));
  }

  get colon(): GrammarSymbol[] {
    return this.#once("colon", (b) => b.choice([[...b.text(":"), ...b.optional(b.text(" "))]]));
  }

  /** `true`, `false` or `null`. */
  word(value: boolean | null): GrammarSymbol[] {
    const words = this.#spelling.words?.[`${value}`] ?? [`${value}`];
    return this.#once(`${value}`, (b) => b.choice(words.map((word) => b.text(word))));
  }

  /** The name of a property. */
  name(name: string): GrammarSymbol[] {
    return this.#oneOf(this.#names.map(({ open, close, characters }) => [
      ...open,
      ...this.#nameIn(characters, name),
      ...close,
    ]));
  }

  #nameIn(characters: CharacterWriter, name: string): GrammarSymbol[] {
    const b = this.#builder;
    if (characters === JSON_CHARACTERS) return b.text(JSON.stringify(name).slice(1, -1));
    return characters === PLAIN_CHARACTERS ? b.text(name) : b.language(b.languages.text(name), characters);
  }

  /** Any property name of a language that can be written. */
  names(language: Language): GrammarSymbol[] {
    return this.#oneOf(this.#names.flatMap((style) => {
      const written = this.#written(style, language);
      return written === undefined ? [] : [written];
    }));
  }

  /** Whether any property name of a language can be written. */
  hasNames(language: Language): boolean {
    const { languages } = this.#builder;
    return this.#names.some(({ within }) =>
      within === undefined || !languages.isEmpty(languages.and(language, within(languages)))
    );
  }

  get number(): GrammarSymbol[] {
    return this.#once("number", (b) => b.language(anyNumber(b.languages)));
  }

  /** A string of a language. */
  string(language: Language, lengths: Lengths = {}): GrammarSymbol[] {
    const { told = [] } = this.#spelling;
    const styles = language.form.op === "words" ? [...this.#texts, ...told] : this.#texts;
    const all = styles.flatMap((style) => {
      const written = this.#written(style, language, lengths);
      return written === undefined ? [] : [written];
    });
    return this.#oneOf(all);
  }

  #oneOf(all: readonly GrammarSymbol[][]): GrammarSymbol[] {
    return all.length === 1 ? all[0] as GrammarSymbol[] : this.#builder.choice(all);
  }

  get anyString(): GrammarSymbol[] {
    return this.#once("string", (b) => b.choice([this.string(b.languages.any)]));
  }

  get anyArray(): GrammarSymbol[] {
    return this.#once("array", (b) => b.choice([[...b.text("["), ...this.#list(this.any), ...b.text("]")]]));
  }

  get anyObject(): GrammarSymbol[] {
    return this.#once("object", (b) => {
      const entry = b.choice([[...this.names(b.languages.any), ...this.colon, ...this.any]]);
      return b.choice([[...b.text("{"), ...this.#list(entry), ...b.text("}")]]);
    });
  }

  /** Any value. */
  get any(): GrammarSymbol[] {
    const made = this.#made.get("any");
    if (made !== undefined) return made;
    const rule = this.#builder.declare();
    // Declared before its parts, which contain it.
    this.#made.set("any", [{ rule }]);
    this.#builder.define(rule, [
      this.anyObject,
      this.anyArray,
      this.anyString,
      this.number,
      this.word(true),
      this.word(false),
      this.word(null),
    ]);
    return [{ rule }];
  }

  /** A character of a JSON string, in all possible spellings. */
  get character(): GrammarSymbol[] {
    return this.#once("character", (b) =>
      b.choice([
        b.chars(PLAIN),
        [
          ...b.text("\\"),
          ...b.choice([
            b.chars([...'"\\/bfnrt'].flatMap((char) => [char.charCodeAt(0), char.charCodeAt(0)])),
            // No surrogate escapes: characters beyond the BMP are written literally.
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

  /** What may follow a backslash. */
  escapes(chars: readonly number[]): GrammarSymbol[] {
    return this.#once(`escapes ${chars.join()}`, (b) => {
      const ends = chars.map((char) => JSON.stringify(String.fromCharCode(char)).slice(2, -1));
      const single = ends.filter(({ length }) => length === 1).map((end) => end.charCodeAt(0));
      const long = ends.filter(({ length }) => length > 1);
      return b.choice([
        ...single.length > 0 ? [b.chars(single.flatMap((char) => [char, char]))] : [],
        ...long.length > 0 ? [b.texts(long)] : [],
      ]);
    });
  }

  /** A string in a style; `undefined` if no string of the language can be written that way. */
  #written(style: TextStyle, language: Language, lengths: Lengths = {}): GrammarSymbol[] | undefined {
    const { languages } = this.#builder;
    const { open, close, characters, within } = style;
    // Enumerated strings are written as they are.
    const written = within === undefined || language.form.op === "words"
      ? language
      : languages.and(language, within(languages));
    if (languages.isEmpty(written)) return undefined;
    return [...open, ...this.#builder.language(written, characters, lengths), ...close];
  }

  #list(item: readonly GrammarSymbol[]): GrammarSymbol[] {
    const b = this.#builder;
    return b.optional([...item, ...b.repeat([...this.comma, ...item], 0, Infinity)]);
  }

  #once(name: string, make: (builder: GrammarBuilder) => GrammarSymbol[]): GrammarSymbol[] {
    return this.#made.getOrInsertComputed(name, () => make(this.#builder));
  }
}

const known = new WeakMap<GrammarBuilder, Map<string, JsonValues>>();
