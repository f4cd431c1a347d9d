/** Inspects a model without loading its weights: what it would be used for, and what its chat template can do. */
import { Chat } from "./chat/chat.ts";
import type { LoadChatLibrary } from "./chat/render/chat_library.ts";
import type { Library } from "./native/library.ts";
import type { EngineConfig, FromEngine } from "./ipc/messages.ts";
import { Model } from "./native/model.ts";
import { purposeOf } from "./encode/purpose.ts";

/**
 * Read a model's vocabulary and chat template.
 *
 * @param loadLibrary Loads node-llama-cpp, which a model without a chat template needs.
 * @throws {ModelError} If it cannot be loaded, or not for that.
 */
export async function inspect(
  library: Library,
  config: Pick<EngineConfig, "modelPath" | "partPaths" | "embed" | "pooling" | "chatTemplate">,
  loadLibrary?: LoadChatLibrary,
): Promise<Extract<FromEngine, { type: "inspected" }>> {
  const model = Model.load(library, config.partPaths ?? [config.modelPath], {
    vocabularyOnly: true,
    ...(config.chatTemplate === undefined ? {} : { chatTemplate: config.chatTemplate }),
  });
  const { purpose } = purposeOf(model, config);
  // The library reads this from the metadata only together with weights.
  const architecture = model.metadata.get("general.architecture");
  const trainedContextTokens = Number(model.metadata.get(`${architecture}.context_length`)) || 0;
  const facts = { type: "inspected", purpose, trainedContextTokens } as const;
  if (purpose !== "generate") return { ...facts, tools: false, thinking: false };
  const chat = await Chat.of(model, model.trainedContextTokens, loadLibrary);
  const { tools, thinking, fault, format } = chat;
  const templateError = fault === undefined ? {} : { templateError: { ...fault, format } };
  return { ...facts, tools, thinking, ...(model.infill === undefined ? {} : { infill: true }), ...templateError };
}
