/** The prompt that the model's chat template makes of a conversation. */
import type { Client } from "@inferd/client";
import { unsupported } from "../api_error.ts";
import type { GenerationJob } from "../bridge.ts";

/** @throws {ApiError} If the conversation has media. */
export async function promptOf(
  { messages, tools, toolChoice, thinking = false, attachments, generationPrompt, templateVariables }:
    GenerationJob["request"],
  client: Client,
  options: { readonly model: string; readonly signal: AbortSignal },
): Promise<string> {
  if (attachments !== undefined) throw unsupported("messages", "a prompt with media is no text");
  const conversation = { messages, tools, toolChoice, thinking, generationPrompt, templateVariables };
  return await client.applyTemplate(conversation, options);
}
