/**
 * Markers as sequences of text and tokens: `<tool_call>` is one token in one vocabulary and plain text in another, so a
 * marker is matched, written and split according to the vocabulary.
 */
import type { SpecialToken } from "../../native/model.ts";
import { controlText, tagText } from "./control_text.ts";

export type { SpecialToken };

/** Text, or a token with its parser representation. */
export type MarkerPart = string | { readonly token: number; readonly text: string };

/** Delimiter that a chat template writes around content. */
export type Marker = readonly MarkerPart[];

/** A marker as the parser sees it. */
export function textOf(marker: Marker): string {
  return marker.map((part) => typeof part === "string" ? part : part.text).join("");
}

/** Parser representation of a special token. */
export function seenAs({ name, control }: SpecialToken): string {
  return control ? controlText(name) : tagText(name);
}

/** Matches tags that are not tokens of the vocabulary. */
const TAG = /<\/?[^\s<>"'=]{1,60}>|\[\/?[A-Z][A-Z_]{1,30}\]/y;
const DIGITS = /\d+/y;

export class SpecialTokens {
  readonly #byName = new Map<string, SpecialToken>();
  /** Name lengths by first character, longest first. */
  readonly #lengths = new Map<string, number[]>();

  constructor(tokens: Iterable<SpecialToken>) {
    for (const token of tokens) {
      if (token.name !== "" && !this.#byName.has(token.name)) this.#byName.set(token.name, token);
    }
    for (const [first, names] of Map.groupBy(this.#byName.keys(), (name) => name.charAt(0))) {
      const lengths = new Set(names.map(({ length }) => length));
      this.#lengths.set(first, [...lengths].sort((a, b) => b - a));
    }
  }

  get(name: string): SpecialToken | undefined {
    return this.#byName.get(name);
  }

  values(): Iterable<SpecialToken> {
    return this.#byName.values();
  }

  /** Longest token name that starts at this position. */
  at(text: string, at: number): SpecialToken | undefined {
    for (const length of this.#lengths.get(text.charAt(at)) ?? []) {
      const found = this.#byName.get(text.slice(at, at + length));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Every position from `from` to `to` where a token name starts, including overlapping names. */
  *occurrences(
    text: string,
    from = 0,
    to = text.length,
  ): Generator<{ readonly at: number; readonly special: SpecialToken }> {
    for (let at = from; at < to; at++) {
      for (const length of this.#lengths.get(text.charAt(at)) ?? []) {
        const special = this.#byName.get(text.slice(at, at + length));
        if (special !== undefined) yield { at, special };
      }
    }
  }

  marker(text: string): Marker {
    const parts: MarkerPart[] = [];
    let begun = 0;
    for (let at = 0; at < text.length;) {
      const special = this.at(text, at);
      if (special === undefined) {
        at++;
        continue;
      }
      if (at > begun) parts.push(text.slice(begun, at));
      parts.push({ token: special.token, text: seenAs(special) });
      at += special.name.length;
      begun = at;
    }
    if (begun < text.length) parts.push(text.slice(begun));
    return parts;
  }

  /** Splits text into units: token names, tags, numbers and single characters. */
  units(text: string): string[] {
    const units: string[] = [];
    for (let at = 0; at < text.length;) {
      const unit = this.at(text, at)?.name ?? match(TAG, text, at) ?? match(DIGITS, text, at) ?? text.charAt(at);
      units.push(unit);
      at += unit.length;
    }
    return units;
  }

  /** Whether a unit is a special token or a tag. */
  isTag(unit: string): boolean {
    return this.#byName.has(unit) || match(TAG, unit, 0) === unit;
  }
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
