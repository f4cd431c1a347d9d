/** Counts prompt tokens: `/v1/responses/input_tokens`, and llama-server's `/v1/chat/completions/input_tokens`. */
import type { Context } from "hono";
import type { z } from "zod";
import { readBody, slicesOf } from "../body.ts";
import type { Bridge, GenerationJob } from "../bridge.ts";
import type { Slices } from "../slices.ts";
import { body as chatBody, toRequest as toChatRequest } from "./chat_completions.ts";
import { body as responseBody, toRequest as toResponseRequest } from "./responses/request.ts";

export async function responseInputTokens(context: Context, bridge: Bridge): Promise<Response> {
  return await count(context, bridge, { body: responseBody, inPieces: "input", toRequest: toResponseRequest });
}

export async function chatInputTokens(context: Context, bridge: Bridge): Promise<Response> {
  return await count(context, bridge, { body: chatBody, inPieces: "messages", toRequest: toChatRequest });
}

async function count<Body extends z.ZodType<{ readonly model?: string | null | undefined }>>(
  context: Context,
  bridge: Bridge,
  { body, inPieces, toRequest }: {
    readonly body: Body;
    readonly inPieces: string;
    readonly toRequest: (asked: z.output<Body>, slices: Slices) => Promise<GenerationJob["request"]>;
  },
): Promise<Response> {
  const asked = await readBody(context, body, { inPieces });
  const request = await toRequest(asked, slicesOf(context));
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  const input_tokens = await bridge.countTokens(model, request, context.req.raw.signal);
  return context.json({ object: "response.input_tokens", input_tokens });
}
