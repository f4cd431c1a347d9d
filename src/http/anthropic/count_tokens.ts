/** Anthropic's token counting: `/v1/messages/count_tokens`. */
import type { Context } from "hono";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { body, toRequest } from "./request.ts";

const countBody = body.partial({ max_tokens: true });

/** Count the tokens of the prompt as rendered by the model's chat template. */
export async function countTokens(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, countBody, { inPieces: "messages" });
  const model = await bridge.link.model(asked.model, "generate");
  const request = toRequest({ ...asked, max_tokens: 1 });
  return context.json({ input_tokens: await bridge.countTokens(model, request, context.req.raw.signal) });
}
