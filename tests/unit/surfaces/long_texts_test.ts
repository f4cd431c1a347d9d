/** Threat: a text of many megabytes is copied together at once, and nobody else is served meanwhile. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { joined, JoinedText, JsonText, LONG_TEXT_LENGTH, type LongText, partsOf } from "@inferd/client/protocol";
import { toOpenAiRequest } from "../../../src/backend/openai/request.ts";
import { checkFits } from "../../../src/backend/llama/prompt_limits.ts";
import { ContextLengthError, InvalidRequestError } from "../../../src/inference/errors.ts";
import type { GenerationRequest } from "../../../src/inference/request.ts";
import { LargeLine } from "../../../src/server/json_line.ts";
import type { Surface } from "../../../src/surfaces/surface.ts";
import { v1Surface } from "../../../src/surfaces/v1.ts";
import { v2Surface } from "../../../src/surfaces/v2.ts";
import { CONTROLLED_CAPABILITIES, ControlledBackend } from "../../support/controlled_backend.ts";

const LONG = 'a "river"\nä'.repeat(LONG_TEXT_LENGTH / 10);
const PNG = "iVBORw0KGgoA+/zz".repeat(LONG_TEXT_LENGTH / 10);
const PICTURE = [{ role: "user", content: [{ type: "image", attachment_id: "a" }] }];

/** Takes whatever is asked of it. */
class Able extends ControlledBackend {
  override readonly capabilities = { ...CONTROLLED_CAPABILITIES, v2: true, tools: true, vision: true };
  asked: GenerationRequest<LongText> | undefined;

  override async *generate(request: GenerationRequest<LongText>): AsyncGenerator<never> {
    this.asked = request;
    yield* await Promise.resolve([]);
  }
}

/** What a line asks of a backend. It comes in pieces that end anywhere. */
async function asked(surface: Surface, value: unknown): Promise<GenerationRequest<LongText>> {
  const text = JSON.stringify(value);
  const line = new LargeLine(true);
  for (let at = 0; at < text.length; at += 65_537) line.add(text.slice(at, at + 65_537));
  const parsed = line.take();
  await surface.prepare?.(parsed, () => Promise.resolve());
  const backend = new Able("b");
  const answer = surface.read(parsed).answer(backend, new AbortController().signal);
  if ("events" in answer) { for await (const _ of answer.events); }
  assert(backend.asked !== undefined);
  return backend.asked;
}

/** Run with texts that cannot be put together. */
async function apart<Value>(run: () => Promise<Value>): Promise<Value> {
  const { toString } = JoinedText.prototype;
  JoinedText.prototype.toString = (): string => {
    throw new Error("A long text was put together");
  };
  try {
    return await run();
  } finally {
    JoinedText.prototype.toString = toString;
  }
}

/** The bodies that a remote server gets of what is asked. */
async function sent(surface: Surface, value: unknown): Promise<Record<string, unknown>> {
  const body = await apart(async () => toOpenAiRequest(await asked(surface, value), "m"));
  return JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
}

Deno.test("texts of many megabytes go to a remote server in the parts in which they came", async () => {
  const v1 = { messages: [{ role: "user", content: LONG }, { role: "assistant", content: "b" }] };
  assert(JSON.stringify((await sent(v1Surface, v1)).messages) === JSON.stringify(v1.messages));
  const blocks = [{ type: "text", text: LONG }, { type: "text", text: "end" }];
  const { messages } = await sent(v2Surface, {
    messages: [
      { role: "user", content: blocks },
      {
        role: "assistant",
        content: [{ type: "thinking", text: LONG }, {
          type: "tool_use",
          tool_call_id: "c",
          name: "t",
          input: { LONG },
        }],
      },
      { role: "user", content: [{ type: "tool_result", tool_call_id: "c", content: blocks }] },
    ],
  });
  const call = { id: "c", type: "function", function: { name: "t", arguments: JSON.stringify({ LONG }) } };
  assert(
    JSON.stringify(messages) === JSON.stringify([
      { role: "user", content: `${LONG}\nend` },
      { role: "assistant", content: null, reasoning_content: LONG, tool_calls: [call] },
      { role: "tool", tool_call_id: "c", content: `${LONG}\nend` },
    ]),
  );
  const prompted = await sent(v2Surface, { prompt: LONG });
  assert(JSON.stringify(prompted.messages) === JSON.stringify([{ role: "user", content: LONG }]));
});

Deno.test("an attachment of many megabytes is checked and sent on in the parts in which it came", async () => {
  for (const mime of [{ mime: "image/png" }, {}]) {
    const { messages } = await sent(v2Surface, {
      messages: PICTURE,
      attachments: [{ id: "a", kind: "image", ...mime, bytes: `${PNG}AA==` }],
    });
    const url = `data:image/png;base64,${PNG}AA==`;
    const expected = [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }];
    assert(JSON.stringify(messages) === JSON.stringify(expected));
  }
});

Deno.test("an attachment in parts that is not base64 is refused wherever it is wrong", async () => {
  const half = PNG.length / 2;
  for (const bytes of [`${PNG.slice(0, half)}=${PNG.slice(half + 1)}`, `${PNG} AAA`, `${PNG}A`, `${PNG}A===`]) {
    const request = { messages: PICTURE, attachments: [{ id: "a", kind: "image", mime: "image/png", bytes }] };
    const error = await apart(() => asked(v2Surface, request)).catch((error: unknown) => error);
    assert(error instanceof InvalidRequestError, `${error}`);
    assertEquals(
      error.message,
      `"attachments[0].bytes" must be base64 with padding, not empty, got a text of ${bytes.length} characters`,
    );
  }
});

Deno.test("a prompt of many megabytes that cannot fit is refused by its length", async () => {
  const request = await apart(() => asked(v2Surface, { prompt: [LONG, 7] }));
  assertThrows(
    () => checkFits(request, { ...CONTROLLED_CAPABILITIES, contextTokens: 8192 }, 16),
    ContextLengthError,
    "exceeds the available context size",
  );
});

Deno.test("texts are joined into parts only if they are long", () => {
  assertEquals(joined(["a", "b"], "\n"), "a\nb");
  assertEquals(joined([]), "");
  const long = joined([LONG, "b"], "\n");
  assertEquals([partsOf(long).length, long.length], [3, LONG.length + 2]);
  assert(long.toString() === `${LONG}\nb`);
  assertEquals(JSON.stringify([new JsonText({ a: "ä" }), new JsonText(undefined)]), '["{\\"a\\":\\"ä\\"}","null"]');
});
