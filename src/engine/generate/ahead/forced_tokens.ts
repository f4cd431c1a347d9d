/**
 * Tokenizes text that a grammar forces, keeping only tokens that later text cannot change. The last token is left to
 * the model, which may choose one that also covers what follows. If the text before would be tokenized differently
 * together with the forced text, everything is left to the model.
 */
import type { Forced } from "../../../grammar/constraint.ts";
import type { Model } from "../../native/model.ts";

export type ForcedModel = Pick<Model, "tokenize" | "piece" | "pieceText" | "spacePrefix">;

/** Sample continuations of forced text with an open end; only tokens that none of them changes are kept. */
const CONTINUATIONS = ["a", "1", " ", '"', "."];
/** Cache capacity in texts; the cache is cleared when full. */
const MOST_KNOWN = 1000;

const NO_TOKENS: readonly number[] = [];
const encoder = new TextEncoder();

/** Tokenizes forced text for one model. */
export class ForcedTokens {
  readonly #model: ForcedModel;
  readonly #known = new Map<string, readonly number[]>();

  constructor(model: ForcedModel) {
    this.#model = model;
  }

  /**
   * Tokens that must come next.
   *
   * @param before Last token of the answer; absent at its start.
   * @returns Empty if the choice is left to the model.
   */
  of({ parts, complete }: Forced, before: number | undefined): readonly number[] {
    const tokens: number[] = [];
    for (const [index, part] of parts.entries()) {
      if (typeof part === "number") {
        tokens.push(part);
        continue;
      }
      const open = index === parts.length - 1 && !complete;
      const found = this.#tokensOf(part, { before: tokens.at(-1) ?? before, open });
      if (found === undefined) break;
      tokens.push(...found);
    }
    return tokens;
  }

  #tokensOf(
    text: string,
    place: { readonly before: number | undefined; readonly open: boolean },
  ): readonly number[] | undefined {
    const key = `${place.before ?? ""} ${place.open} ${text}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known === NO_TOKENS ? undefined : known;
    const context = this.#contextOf(place.before);
    const found = context === undefined ? undefined : this.#find(context, text, place.open);
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#known.set(key, found ?? NO_TOKENS);
    return found;
  }

  /** Text and tokens to put before the forced text; `undefined` if unknown. */
  #contextOf(before: number | undefined): { readonly text: string; readonly tokens: readonly number[] } | undefined {
    const { spacePrefix } = this.#model;
    // With a space prefix, text at the start of the answer would get a spurious space.
    if (before === undefined) return spacePrefix ? undefined : { text: "", tokens: [] };
    const text = this.#model.pieceText(before);
    if (text === undefined) return undefined;
    if (text === "") return spacePrefix ? undefined : { text, tokens: [] };
    if (!spacePrefix) return { text, tokens: [before] };
    return { text: `\n${text}`, tokens: [...this.#model.tokenize("\n", false), before] };
  }

  #find(
    context: { readonly text: string; readonly tokens: readonly number[] },
    text: string,
    open: boolean,
  ): readonly number[] | undefined {
    const after = (more: string): Int32Array | undefined => {
      const tokens = this.#model.tokenize(context.text + text + more, false);
      return context.tokens.every((token, i) => tokens[i] === token)
        ? tokens.subarray(context.tokens.length)
        : undefined;
    };
    const whole = after("");
    if (whole === undefined || !this.#spells(whole, text)) return undefined;
    if (!open) return [...whole];
    let sure = whole.length - 1;
    for (const more of CONTINUATIONS) {
      const continued = after(more);
      if (continued === undefined) return undefined;
      let same = 0;
      while (same < sure && continued[same] === whole[same]) same++;
      sure = same;
    }
    return [...whole.subarray(0, sure)];
  }

  /** Whether the tokens spell exactly this text. A special token may have no text in the grammar. */
  #spells(tokens: Int32Array, text: string): boolean {
    const bytes = encoder.encode(text);
    let at = 0;
    for (const token of tokens) {
      for (const byte of this.#model.piece(token)) if (bytes[at++] !== byte) return false;
    }
    return at === bytes.length;
  }
}
