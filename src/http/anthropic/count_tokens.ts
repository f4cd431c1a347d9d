/** Anthropic's token counting: `/v1/messages/count_tokens`. */
import type { Context } from "hono";
import { unsupported } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { body, toRequest } from "./request.ts";

const countBody = body.partial({ max_tokens: true });

/**
 * Answer a request: tokens of the prompt as the model's chat template renders it.
 *
 * @param context The request.
 * @param bridge Asks the daemon.
 */
export async function countTokens(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, countBody);
  const model = await link.model(asked.model, "generate");
  const { messages, attachments, tools, toolChoice, thinking } = toRequest({ ...asked, max_tokens: 1 });
  if (attachments !== undefined) throw unsupported("messages", "tokens of images are not known before they are read");
  const client = await link.client("v2");
  const tokens = await client.countTokens({ messages, tools, toolChoice, thinking }, {
    model: model.name,
    signal: context.req.raw.signal,
  });
  return context.json({ input_tokens: tokens });
}
