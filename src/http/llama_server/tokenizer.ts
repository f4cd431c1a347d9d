/** llama-server's `/tokenize`, `/detokenize` and `/apply-template`. */
import type { Context } from "hono";
import { z } from "zod";
import { readBody, slicesOf } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { body, toRequest } from "../openai/chat_completions.ts";
import { promptOf } from "./prompt_of.ts";

const model = z.string().min(1).nullish();

const tokenizeBody = z.strictObject({
  model,
  content: z.string(),
  add_special: z.boolean().nullish(),
  parse_special: z.boolean().nullish(),
  with_pieces: z.boolean().nullish(),
});

export async function tokenize(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, tokenizeBody);
  const { name } = await link.model(asked.model ?? undefined, "generate");
  const client = await link.client("v2");
  const { signal } = context.req.raw;
  const tokens = await client.tokenize(asked.content, {
    model: name,
    addSpecial: asked.add_special ?? false,
    parseSpecial: asked.parse_special ?? true,
    signal,
  });
  if (!asked.with_pieces) return context.json({ tokens });
  const pieces = await client.tokenBytes(tokens, { model: name, signal });
  return context.json({
    tokens: tokens.map((id, index) => ({ id, piece: pieceOf(pieces[index] ?? new Uint8Array()) })),
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text, or bytes if the token is part of a character. */
function pieceOf(bytes: Uint8Array): string | number[] {
  try {
    return utf8.decode(bytes);
  } catch {
    return [...bytes];
  }
}

const detokenizeBody = z.strictObject({ model, tokens: z.array(z.int().min(0)) });

export async function detokenize(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, detokenizeBody);
  const { name } = await link.model(asked.model ?? undefined, "generate");
  const client = await link.client("v2");
  const content = await client.detokenize(asked.tokens, { model: name, signal: context.req.raw.signal });
  return context.json({ content });
}

/** Render a conversation to a prompt. */
export async function applyTemplate(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const { name } = await link.model(asked.model ?? undefined, "generate");
  const request = await toRequest(asked, slicesOf(context));
  const prompt = await promptOf(request, await link.client("v2"), { model: name, signal: context.req.raw.signal });
  return context.json({ prompt });
}
