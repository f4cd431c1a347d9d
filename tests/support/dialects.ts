/**
 * Dialects of the chat wrappers as they are published, without a model: a name in brackets is a token.
 */
import { type ChatWrapper, LlamaText } from "node-llama-cpp";
import { type Dialect, dialectOf, type MarkerPart } from "../../src/engine/dialect.ts";
import { controlText } from "../../src/engine/text.ts";

/** How tokens look that are written as one. */
export const TAGS = /<\/?\|?[\w:]+\|?>|\[\/?[A-Z_]+\]/g;

/**
 * What a wrapper's settings say.
 *
 * @param controls The tags are control tokens and come as such; otherwise they are text like any other.
 */
export function dialectFor({ settings }: Pick<ChatWrapper, "settings">, controls = false): Dialect {
  const read = (value: string | LlamaText): MarkerPart[] => {
    const parts: MarkerPart[] = [];
    for (const item of LlamaText(value).values) {
      if (typeof item !== "string" && item.toString() === "EOS") return parts;
      const text = item.toString();
      let at = 0;
      for (const { 0: tag, index } of typeof item === "string" ? [] : text.matchAll(TAGS)) {
        if (index > at) add(parts, text.slice(at, index));
        parts.push({ token: idOf(tag), text: controls ? controlText(tag) : tag });
        at = index + tag.length;
      }
      if (at < text.length) add(parts, text.slice(at));
    }
    return parts;
  };
  return dialectOf(settings, { read, calls: true });
}

/** The number that stands for a tag. */
export function idOf(tag: string): number {
  let known = ids.get(tag);
  if (known === undefined) ids.set(tag, known = FIRST_ID + ids.size);
  return known;
}

/** The tag of such a number. */
export function tagOf(id: number): string | undefined {
  return [...ids].find(([, known]) => known === id)?.[0];
}

const FIRST_ID = 0x120000;
const ids = new Map<string, number>();

function add(parts: MarkerPart[], text: string): void {
  const last = parts.at(-1);
  if (typeof last === "string") parts[parts.length - 1] = last + text;
  else parts.push(text);
}
