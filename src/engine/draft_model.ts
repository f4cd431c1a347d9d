/** Loads the draft model for speculative decoding, after checking that its vocabulary matches the target model. */
import { purposeOf } from "./encode/purpose.ts";
import { Draft } from "./generate/ahead/draft.ts";
import { MOST_STREAMS } from "./generate/ahead/speculation.ts";
import type { DraftFiles, NativeSettings } from "./ipc/messages.ts";
import { Context } from "./native/context.ts";
import { ModelError } from "./native/first_look.ts";
import type { Library } from "./native/library.ts";
import { Model } from "./native/model.ts";
import type { LookIn } from "./native/step_watch.ts";
import { defined } from "../inference/objects.ts";

/** Maximum difference in vocabulary size caused by padding to a round number. */
const FILLED_UP_TOKENS = 128;

/** The context of loading a draft model. */
export interface DraftModelOptions {
  /** The target model. */
  readonly model: Model;
  readonly modelPath: string;
  /** Memory to be counted on, the other model's weights not taken off. */
  readonly available: number;
  readonly settings?: NativeSettings;
  /** Of the other model; where it has none on an accelerator, the draft has none either. */
  readonly gpuLayers?: number;
}

/** A draft model, and its share of the memory. */
export interface DraftModel {
  readonly model: Model;
  /** Tokens that both models know. */
  readonly vocabulary: number;
  /** What a token of the other model's context takes here. */
  readonly bytesPerToken: number;
}

/** @throws {ModelError} If it cannot be loaded, or cannot guess for the other model. */
export function loadDraftModel(library: Library, files: DraftFiles, options: DraftModelOptions): DraftModel {
  const { model: target, modelPath, available, gpuLayers, settings = {} } = options;
  const { mmap, mlock, mainGpu, tensorSplit } = settings;
  const refuse = (reason: string): never => {
    throw new ModelError(`Cannot use "${files.modelPath}" as the draft model of "${modelPath}": ${reason}`);
  };
  if (target.wholeSequencesOnly) refuse("the model cannot take back tokens, so nothing can be guessed for it");
  const model = Model.load(library, files.partPaths ?? [files.modelPath], {
    beside: target,
    available: available - target.bytes,
    ...(gpuLayers === 0 ? { gpuLayers } : {}),
    settings: defined({ mmap, mlock, mainGpu, tensorSplit }),
  });
  if (purposeOf(model, files).purpose !== "generate") refuse("it does not generate text token by token");
  if (model.wholeSequencesOnly) refuse("it cannot take back tokens");
  const vocabulary = Math.min(model.vocabularySize, target.vocabularySize);
  if (Math.max(model.vocabularySize, target.vocabularySize) - vocabulary > FILLED_UP_TOKENS) {
    const sizes = `${model.vocabularySize} tokens, the model's ${target.vocabularySize}`;
    refuse(`its vocabulary has ${sizes}. Use a smaller model of the same family`);
  }
  for (let token = 0; token < vocabulary; token++) {
    if (model.sharesToken(token, target)) continue;
    const names = [model, target].map((one) => JSON.stringify(one.describe(token)));
    refuse(
      `its token ${token} is ${names[0]}, the model's is ${names[1]}. Use a smaller model of the same family`,
    );
  }
  return { model, vocabulary, bytesPerToken: MOST_STREAMS * model.bytesPerToken };
}

/**
 * Open the context of a loaded draft model.
 *
 * @param options Context size of the target model, threads, KV cache memory, and callbacks.
 */
export function openDraft(
  library: Library,
  { model, vocabulary }: DraftModel,
  options: {
    readonly contextTokens: number;
    readonly threads: number;
    readonly memoryBytes: number;
    readonly lookIn: LookIn;
    readonly onFailure: (reason: string) => void;
  },
): { readonly draft: Draft; readonly context: Context } {
  const { trainedContextTokens } = model;
  const contextTokens = trainedContextTokens > 0
    ? Math.min(options.contextTokens, trainedContextTokens)
    : options.contextTokens;
  const context = new Context(library, model, { ...options, contextTokens, parallel: MOST_STREAMS, kept: [] });
  return { context, draft: new Draft({ decoder: context, contextTokens, vocabulary, onFailure: options.onFailure }) };
}
