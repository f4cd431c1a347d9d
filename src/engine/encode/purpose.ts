/** What a model is used for, and its pooling type. Decided once from metadata and configuration; pure. */
import type { EngineConfig, EnginePurpose } from "../ipc/messages.ts";
import type { Model } from "../native/model.ts";
import { ModelError } from "../native/first_look.ts";
import { POOLING, type PoolingType } from "../native/text_context.ts";

/** Bidirectional architectures, which cannot generate text. */
const ENCODERS: ReadonlySet<string> = new Set([
  "bert",
  "eurobert",
  "gemma-embedding",
  "jina-bert-v2",
  "jina-bert-v3",
  "modern-bert",
  "neo-bert",
  "nomic-bert",
  "nomic-bert-moe",
  "t5encoder",
]);

/** The parts of a model that this uses. */
export type PurposeModel = Pick<Model, "metadata" | "generates" | "encoderOnly" | "encoderDecoder" | "ranks">;

export type Purpose =
  | { readonly purpose: Extract<EnginePurpose, "generate"> }
  | { readonly purpose: Exclude<EnginePurpose, "generate">; readonly pooling: PoolingType };

/**
 * Decide what to load a model for.
 *
 * @returns The purpose, with the pooling type if it has one.
 * @throws {ModelError} If the model cannot serve the configured purpose, or any purpose.
 */
export function purposeOf(
  model: PurposeModel,
  config: Pick<EngineConfig, "modelPath" | "embed" | "pooling">,
): Purpose {
  const refuse = (reason: string): never => {
    throw new ModelError(`Cannot use "${config.modelPath}": ${reason}`);
  };
  const pooling = config.pooling === undefined ? toPooling(model) : POOLING[config.pooling];
  const encodes = config.embed === true || pooling !== undefined || isEncoder(model);
  if (!encodes) return model.generates ? { purpose: "generate" } : refuse("it does not generate text token by token");
  if (model.encoderDecoder) return refuse("it is an encoder-decoder, which produces neither embeddings nor scores");
  if (pooling !== POOLING.rank) {
    return { purpose: "embed", pooling: pooling ?? (isEncoder(model) ? POOLING.mean : POOLING.last) };
  }
  if (!model.ranks) return refuse("it has no ranking head, so it cannot rerank");
  return { purpose: "rerank", pooling };
}

/** Whether attention is bidirectional, so that a text must be computed in one batch. */
export function isEncoder({ metadata, encoderOnly }: PurposeModel): boolean {
  const architecture = metadata.get("general.architecture") ?? "";
  return encoderOnly || ENCODERS.has(architecture) || metadata.get(`${architecture}.attention.causal`) === "false";
}

function toPooling({ metadata }: PurposeModel): PoolingType | undefined {
  const value = Number(metadata.get(`${metadata.get("general.architecture")}.pooling_type`));
  return Object.values(POOLING).find((known) => known === value);
}
