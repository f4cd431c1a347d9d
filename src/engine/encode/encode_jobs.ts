/** Tokenizes embed and rerank requests, and turns the model's output into the final event. */
import type { EmbedRequest, RerankRequest } from "../../inference/request.ts";
import { taskPrefix } from "./embedding_tasks.ts";
import { type Encoder, normalizeInto } from "./encoder.ts";
import { type EncodeJob, TextError, TextTooLongError } from "./encode_scheduler.ts";
import type { EngineEvent, EnginePurpose } from "../ipc/messages.ts";
import type { Model } from "../native/model.ts";
import { type RerankModel, RerankPrompt } from "./rerank_prompt.ts";

export type EncodeModel = RerankModel & Pick<Model, "tokenizeWhole" | "vocabularySize">;

/** Longer texts are tokenized in chunks of this size first, so that a text that cannot fit is rejected early. */
const MEASURE_CHARACTERS = 16_384;
/** Maximum number of extra tokens caused by a cut. */
const CUT_TOKENS = 16;

export class EncodeJobs {
  readonly #model: EncodeModel;
  readonly #encoder: Encoder;
  readonly #names: readonly string[];
  readonly #prompt: RerankPrompt | undefined;

  /** @param options.modelName Its name, to recognise the family if the metadata do not. */
  constructor(
    model: EncodeModel,
    encoder: Encoder,
    { purpose, modelName }: { readonly purpose: EnginePurpose; readonly modelName: string },
  ) {
    this.#model = model;
    this.#encoder = encoder;
    const { metadata } = model;
    this.#names = [
      metadata.get("general.name") ?? "",
      metadata.get("general.basename") ?? "",
      metadata.get("general.architecture") ?? "",
      modelName,
    ];
    this.#prompt = purpose === "rerank" ? new RerankPrompt(model) : undefined;
  }

  /** @throws {TextError} If the model does not produce embeddings, or has fewer dimensions. */
  embed(id: number, request: EmbedRequest): EncodeJob {
    if (this.#prompt !== undefined) throw new TextError("This model does not produce embeddings");
    const { input, task } = request;
    const { width } = this.#encoder;
    const dimensions = request.dimensions ?? width;
    if (dimensions > width) {
      throw new TextError(`"dimensions" must be an integer from 1 to ${width}, got ${dimensions}`);
    }
    const prefix = taskPrefix(this.#names, task);
    const vectors = new Float32Array(input.length * dimensions);
    return {
      id,
      count: input.length,
      tokenize: (index): Int32Array => {
        const given = input[index] as EmbedRequest["input"][number];
        if (typeof given !== "string") return this.#known(given, `input[${index}]`);
        const text = prefix + given;
        const measure = (): Int32Array => this.#model.tokenizeWhole(text);
        return this.#checked(measure, { name: `input[${index}]`, text });
      },
      accept: (index, output): void => {
        normalizeInto(output, vectors.subarray(index * dimensions, (index + 1) * dimensions));
      },
      finish: (tokens): EngineEvent => ({ id, vectors: toBase64(vectors), dimensions, tokens }),
    };
  }

  /** @throws {TextError} If the model does not rerank, or the query leaves no room for any document. */
  rerank(id: number, request: RerankRequest): EncodeJob {
    if (this.#prompt === undefined) throw new TextError("This model does not rerank");
    const { query, documents } = request;
    this.#refuseHopeless({ name: "query", text: query });
    const join = this.#prompt.of(query);
    // Scores vary slightly between batches, but equal documents must get equal scores: encode each text once.
    const unlike = [...Map.groupBy(documents.keys(), (index) => documents[index] as string)];
    const scores = new Array<number>(documents.length);
    let repeated = 0;
    return {
      id,
      count: unlike.length,
      tokenize: (index): Int32Array => {
        const [text, same] = unlike[index] as [string, number[]];
        const tokens = this.#checked(() => join(text), { name: `documents[${same[0]}]`, text, together: true });
        repeated += tokens.length * (same.length - 1);
        return tokens;
      },
      accept: (index, output): void => {
        const [, same] = unlike[index] as [string, number[]];
        for (const place of same) scores[place] = output[0] as number;
      },
      finish: (tokens): EngineEvent => ({ id, scores, tokens: tokens + repeated }),
    };
  }

  /** Ids of tokens are used as they are. */
  #known(tokens: readonly number[], name: string): Int32Array {
    if (tokens.length > this.#encoder.textTokens) throw this.#tooLong({ name }, `${tokens.length}`);
    const { vocabularySize } = this.#model;
    const unknown = tokens.find((token) => token >= vocabularySize);
    if (unknown === undefined) return Int32Array.from(tokens);
    throw new TextError(`"${name}" must have ids of tokens from 0 to ${vocabularySize - 1}, got ${unknown}`);
  }

  #checked(tokenize: () => Int32Array, text: NamedText): Int32Array {
    this.#refuseHopeless(text);
    const tokens = tokenize();
    if (tokens.length > this.#encoder.textTokens) throw this.#tooLong(text, `${tokens.length}`);
    if (tokens.length === 0) throw new TextError(`"${text.name}" has no tokens`);
    return tokens;
  }

  /** Tokenizing a very long text takes time and memory, so first check that it can fit. */
  #refuseHopeless(named: NamedText): void {
    const { text } = named;
    if (text.length <= MEASURE_CHARACTERS) return;
    let tokens = 0;
    for (let at = 0; at < text.length; at += MEASURE_CHARACTERS) {
      tokens += this.#model.tokenize(text.slice(at, at + MEASURE_CHARACTERS), false).length - CUT_TOKENS;
      if (tokens > this.#encoder.textTokens) throw this.#tooLong(named, `more than ${tokens}`);
    }
  }

  #tooLong({ name, together }: Omit<NamedText, "text">, tokens: string): TextError {
    const { textTokens } = this.#encoder;
    return new TextTooLongError(
      together
        ? `"${name}" is too large: it has ${tokens} tokens with the query, the maximum is ${textTokens}`
        : `"${name}" is too large: it has ${tokens} tokens, the maximum is ${textTokens}`,
    );
  }
}

interface NamedText {
  readonly name: string;
  readonly text: string;
  /** Whether its tokens are counted with the query's. */
  readonly together?: boolean;
}

function toBase64(vectors: Float32Array<ArrayBuffer>): string {
  return new Uint8Array(vectors.buffer).toBase64();
}
