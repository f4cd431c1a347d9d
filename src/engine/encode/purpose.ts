/**
 * What a model is used for, and how its token vectors are pooled. Decided once, from its metadata and the
 * configuration; pure.
 */
import type { EngineConfig, EnginePurpose } from "../ipc/messages.ts";
import type { Model } from "../native/model.ts";
import { ModelError } from "../native/first_look.ts";
import { POOLING, type PoolingType } from "../native/text_context.ts";

/** Architectures that read a text as a whole and never write one. */
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

/** What there is to know of a model here. */
export type PurposeModel = Pick<Model, "metadata" | "generates" | "encoderOnly" | "encoderDecoder" | "ranks">;

/** What to load a model for. */
export type Purpose =
  | { readonly purpose: Extract<EnginePurpose, "generate"> }
  | { readonly purpose: Exclude<EnginePurpose, "generate">; readonly pooling: PoolingType };

/**
 * Decide what a model is loaded for.
 *
 * @param model The model.
 * @param config What was asked for.
 * @returns The purpose, with the pooling where there is one.
 * @throws {ModelError} If the model cannot do what was asked for, or nothing at all.
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
  if (model.encoderDecoder) return refuse("it writes about what it read, which makes neither vectors nor scores");
  if (pooling !== POOLING.rank) {
    return { purpose: "embed", pooling: pooling ?? (isEncoder(model) ? POOLING.mean : POOLING.last) };
  }
  if (!model.ranks) return refuse("it has no head that ranks, so it cannot rerank");
  return { purpose: "rerank", pooling };
}

/** Whether every token of a text sees every other, so that a text is one step. */
export function isEncoder({ metadata, encoderOnly }: PurposeModel): boolean {
  const architecture = metadata.get("general.architecture") ?? "";
  return encoderOnly || ENCODERS.has(architecture) || metadata.get(`${architecture}.attention.causal`) === "false";
}

function toPooling({ metadata }: PurposeModel): PoolingType | undefined {
  const value = Number(metadata.get(`${metadata.get("general.architecture")}.pooling_type`));
  return Object.values(POOLING).find((known) => known === value);
}
