/** OpenAI's Responses API: `/v1/responses`. */
import type { Context } from "hono";
import type { GenerationEvent } from "@inferd/client";
import { readBody, slicesOf } from "../../body.ts";
import type { Bridge } from "../../bridge.ts";
import { streamedEvents } from "../../event_stream.ts";
import { body, toRequest } from "./request.ts";
import { type Head, newId, responseObject } from "./response.ts";
import { ResponseBuilder, statusOf } from "./stream.ts";
import { leftOut } from "./tools.ts";

export async function responses(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body, { inPieces: "input" });
  const request = await toRequest(asked, slicesOf(context));
  const model = await bridge.link.model(asked.model ?? undefined, "generate");
  const head: Head = {
    id: newId("resp"),
    createdAt: Math.floor(Date.now() / 1000),
    model: asked.model ?? model.name,
  };
  const missing = leftOut(asked.tools);
  if (missing.length > 0) context.header("Warning", `299 inferd "not offered to the model: ${missing.join(", ")}"`);
  const events = bridge.generate({ api: "openai", model, request, signal: context.req.raw.signal });
  const builder = new ResponseBuilder(head, asked);
  if (asked.stream) return await streamedEvents(context, pieces(events, builder), (error) => builder.fail(error));
  for await (const event of events) {
    if (event.type !== "done") {
      builder.take(event);
      continue;
    }
    builder.end(event);
    const { output } = builder;
    return context.json(responseObject(head, asked, { status: statusOf(event), output, result: event }));
  }
  throw new Error("The answer ended without its final event");
}

async function* pieces(events: AsyncIterable<GenerationEvent>, builder: ResponseBuilder): AsyncGenerator<string> {
  let begun = false;
  for await (const event of events) {
    // Sent with the first event, so that earlier errors get their own status.
    const head = begun ? "" : builder.begin();
    begun = true;
    const piece = event.type === "done" ? builder.end(event) : builder.take(event);
    if (head + piece !== "") yield head + piece;
  }
}
