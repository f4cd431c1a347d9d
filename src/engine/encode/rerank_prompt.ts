/**
 * Prompt of a query and a document in the form a reranker was trained on: its own template, or both joined by separator
 * tokens. User text never becomes a control token.
 */
import type { Model } from "../native/model.ts";

/** The parts of a model that this uses. */
export type RerankModel = Pick<
  Model,
  "metadata" | "named" | "addsBos" | "addsEos" | "addsSep" | "tokenize" | "isControl" | "describe" | "vocabularySize"
>;

const TEMPLATE = "tokenizer.chat_template.rerank";
const ADDS_SEPARATOR = "tokenizer.ggml.add_sep_token";
const PLACEHOLDER = /\{query\}|\{document\}/g;

export class RerankPrompt {
  readonly #model: RerankModel;
  /** The template as control tokens and text with placeholders. */
  readonly #template: readonly (number | string)[] | undefined;
  readonly #before: readonly number[];
  readonly #between: readonly number[];
  readonly #after: readonly number[];

  constructor(model: RerankModel) {
    this.#model = model;
    const template = model.metadata.get(TEMPLATE);
    this.#template = template === undefined ? undefined : splitTemplate(template, model);
    const { BOS, EOS, SEP } = model.named;
    const end = EOS >= 0 ? EOS : SEP;
    // Older files lack this key; their tokenizers always added the separator.
    const separates = model.addsSep || !model.metadata.has(ADDS_SEPARATOR);
    this.#before = model.addsBos ? [BOS] : [];
    this.#after = model.addsEos && end >= 0 ? [end] : [];
    this.#between = [...this.#after, ...(separates && SEP >= 0 ? [SEP] : [])];
  }

  of(query: string): (document: string) => Int32Array {
    const template = this.#template;
    if (template !== undefined) {
      return (document) =>
        Int32Array.from(template.flatMap((part) => {
          if (typeof part === "number") return [part];
          const text = part.replace(PLACEHOLDER, (name) => name === "{query}" ? query : document);
          return [...this.#model.tokenize(text, false)];
        }));
    }
    const head = Int32Array.from([...this.#before, ...this.#model.tokenize(query, false), ...this.#between]);
    return (document) => {
      const body = this.#model.tokenize(document, false);
      const tokens = new Int32Array(head.length + body.length + this.#after.length);
      tokens.set(head);
      tokens.set(body, head.length);
      tokens.set(this.#after, head.length + body.length);
      return tokens;
    };
  }
}

/** Splits a template at the names of control tokens. */
function splitTemplate(template: string, model: RerankModel): (number | string)[] {
  const controls = new Map<string, number>();
  for (let token = 0; token < model.vocabularySize; token++) {
    if (!model.isControl(token)) continue;
    const name = model.describe(token);
    if (name !== "" && template.includes(name)) controls.set(name, token);
  }
  if (controls.size === 0) return [template];
  const names = [...controls.keys()].sort((a, b) => b.length - a.length);
  const any = new RegExp(`(${names.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|")})`);
  return template.split(any).filter((part) => part !== "").map((part) => controls.get(part) ?? part);
}
