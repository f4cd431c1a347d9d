/** Every rule of the v2 table, broken once, on the wire: one clear message each, and the connection goes on. */
import { assertEquals } from "@std/assert";
import { DaemonUnderTest } from "../support/daemons.ts";
import type { WireClient } from "../support/wire_client.ts";

const SCRIPT = { vision: true, audio: true, tokens: ["ok"] };
const TEXT = { type: "text", text: "x" };
const USER = { role: "user", content: [TEXT] };

function user(...content: unknown[]): unknown {
  return { role: "user", content };
}

function assistant(...content: unknown[]): unknown {
  return { role: "assistant", content };
}

function call(id: unknown, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "tool_use", tool_call_id: id, name: "t", input: {}, ...fields };
}

function result(id: unknown, content: unknown = [TEXT]): Record<string, unknown> {
  return { type: "tool_result", tool_call_id: id, content };
}

function attachment(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { id: "a", kind: "image", mime: "image/png", bytes: "AAAA", ...fields };
}

function tool(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { name: "t", description: "", input_schema: { type: "object" }, ...fields };
}

function thought(text: string): Record<string, unknown> {
  return { type: "thinking", text };
}

/** An object in an object in an object. */
function nested(levels: number): Record<string, unknown> {
  return levels === 1 ? {} : { a: nested(levels - 1) };
}

function nestedResult(levels: number): Record<string, unknown> {
  return result("c", levels === 1 ? [TEXT] : [nestedResult(levels - 1)]);
}

/** What is sent beside the smallest request, and what comes back. */
type Wrong = readonly [fields: Record<string, unknown>, message: string];

async function assertRefused(client: WireClient, [fields, message]: Wrong, code = "invalid_request"): Promise<void> {
  await client.send({ id: "r", messages: [USER], ...fields });
  const id = "id" in fields ? "" : "r";
  assertEquals(await client.line(), JSON.stringify({ id, type: "error", code, message }));
  await client.send({ id: "after", messages: [USER], stream: false });
  assertEquals((await client.answer()).map((line) => JSON.parse(line).type), ["frame", "done"]);
}

async function assertAllRefused(wrong: readonly Wrong[]): Promise<void> {
  await using test = await DaemonUnderTest.withMock(SCRIPT);
  using client = await test.surface("v2");
  for (const each of wrong) await assertRefused(client, each);
}

const ROLES = '"system", "user" or "assistant"';
const NAME = "1 to 128 of A-Z a-z 0-9 _ - . / :";

function unanswered(message: number, block: number, id: string): string {
  return `"messages[${message}].content[${block}]" must be answered: no later message has a tool_result for "${id}". ` +
    "Add one, or leave the tool_use out";
}
const MEDIA = '"text", "image", "audio"';

Deno.test("a v2 request is refused when a message or a block is not what it should be", () =>
  assertAllRefused([
    [{ id: 7 }, '"id" must be a string, got 7'],
    [{ messages: undefined }, '"messages" must be a non-empty array, got nothing'],
    [{ messages: [] }, '"messages" must be a non-empty array, got an empty array'],
    [{ messages: [7] }, '"messages[0]" must be an object, got 7'],
    [{ messages: [{ content: [TEXT] }] }, `"messages[0].role" must be ${ROLES}, got nothing`],
    [{ messages: [{ role: "tool", content: [TEXT] }] }, `"messages[0].role" must be ${ROLES}, got "tool"`],
    [{ messages: [{ role: "user" }] }, '"messages[0].content" must be a non-empty array, got nothing'],
    [{ messages: [{ role: "user", content: "x" }] }, '"messages[0].content" must be a non-empty array, got "x"'],
    [{ messages: [USER, user()] }, '"messages[1].content" must be a non-empty array, got an empty array'],
    [{ messages: [user(null)] }, '"messages[0].content[0]" must be an object, got null'],
    [
      { messages: [user({ text: "x" })] },
      `"messages[0].content[0].type" must be ${MEDIA}, "video" or "tool_result" in a user turn, got nothing`,
    ],
    [
      { messages: [user(TEXT, { type: "thinking", text: "x" })] },
      `"messages[0].content[1].type" must be ${MEDIA}, "video" or "tool_result" in a user turn, got "thinking"`,
    ],
    [{ messages: [user({ type: "text" })] }, '"messages[0].content[0].text" must be a string, got nothing'],
    [{ messages: [user({ type: "text", text: 1 })] }, '"messages[0].content[0].text" must be a string, got 1'],
    [
      { messages: [user(call("c"))] },
      `"messages[0].content[0].type" must be ${MEDIA}, "video" or "tool_result" in a user turn, got "tool_use"`,
    ],
    [
      { messages: [{ role: "system", content: [call("c")] }] },
      `"messages[0].content[0].type" must be ${MEDIA} or "video" in a system turn, got "tool_use"`,
    ],
    [
      { messages: [assistant(result("c"))] },
      `"messages[0].content[0].type" must be ${MEDIA}, "video", "thinking" or "tool_use" in an assistant turn, got "tool_result"`,
    ],
    [
      { messages: [{ role: "system", content: [{ type: "thinking", text: "x" }] }] },
      `"messages[0].content[0].type" must be ${MEDIA} or "video" in a system turn, got "thinking"`,
    ],
    // As answers have it.
    [
      { messages: [assistant({ type: "thinking", delta: "x" }, TEXT)] },
      '"messages[0].content[0].text" must be a string, got nothing',
    ],
    [
      { messages: [assistant({ type: "thinking", text: ["x"] })] },
      '"messages[0].content[0].text" must be a string, got an array',
    ],
  ]));

Deno.test("a v2 request is refused when calls and results do not fit together", () =>
  assertAllRefused([
    [
      { messages: [assistant(call(""))] },
      '"messages[0].content[0].tool_call_id" must be a non-empty string, got ""',
    ],
    [
      { messages: [assistant(call("c"), call("c"))] },
      '"messages[0].content[1].tool_call_id" must be unique, got "c" again',
    ],
    [
      { messages: [assistant(call("c", { name: "" }))] },
      `"messages[0].content[0].name" must be ${NAME}, got ""`,
    ],
    [
      { messages: [assistant(call("c", { name: "gmail get" }))] },
      `"messages[0].content[0].name" must be ${NAME}, but character 6 of "gmail get" is " " (U+0020)`,
    ],
    [
      { messages: [assistant(call("c", { input: "{}" }))] },
      '"messages[0].content[0].input" must be an object, got "{}"',
    ],
    [
      { messages: [assistant(call("c", { input: [] }))] },
      '"messages[0].content[0].input" must be an object, got an empty array',
    ],
    [
      { messages: [assistant(call("c", { input: nested(65) }))] },
      '"messages[0].content[0].input" must be at most 64 levels deep',
    ],
    [
      { messages: [user(result("c"))] },
      '"messages[0].content[0].tool_call_id" must be the tool_call_id of a tool_use in an earlier message, got "c"',
    ],
    [
      { messages: [user(result("c")), assistant(call("c"))] },
      '"messages[0].content[0].tool_call_id" must be the tool_call_id of a tool_use in an earlier message, got "c"',
    ],
    [
      { messages: [user(result(7))] },
      '"messages[0].content[0].tool_call_id" must be a string, got 7',
    ],
    [
      { messages: [assistant(call("c")), user(result("c")), user(result("c"))] },
      '"messages[2].content[0].tool_call_id" must have one tool_result, got another for "c"',
    ],
    [
      { messages: [assistant(call("c"), call("d")), user(result("c"), TEXT)] },
      unanswered(0, 1, "d"),
    ],
    [
      { messages: [assistant(call("c")), USER, assistant(TEXT)] },
      unanswered(0, 0, "c"),
    ],
    // Nobody but the caller knows what a call at the end came to.
    [{ messages: [USER, assistant(call("c"))] }, unanswered(1, 0, "c")],
    [{ messages: [USER, assistant(TEXT, call("c"))], tools: [tool()] }, unanswered(1, 1, "c")],
    [{ messages: [USER, assistant(call("c"), call("d")), user(result("c"))] }, unanswered(1, 1, "d")],
    [{ messages: [USER, assistant(call("c")), user(result("c")), assistant(call("d"))] }, unanswered(3, 0, "d")],
    [
      { messages: [assistant(call("c")), user(result("c", []))] },
      '"messages[1].content[0].content" must be a non-empty array, got an empty array',
    ],
    [
      { messages: [assistant(call("c")), user(result("c", "text"))] },
      '"messages[1].content[0].content" must be a non-empty array, got "text"',
    ],
    [
      { messages: [assistant(call("c")), user(result("c", [call("d")]))] },
      `"messages[1].content[0].content[0].type" must be ${MEDIA} or "video" in a tool_result, got "tool_use"`,
    ],
    [
      { messages: [assistant(call("c")), user(result("c", [{ type: "thinking", text: "x" }]))] },
      `"messages[1].content[0].content[0].type" must be ${MEDIA} or "video" in a tool_result, got "thinking"`,
    ],
    [
      { messages: [assistant(call("c")), user(nestedResult(100))] },
      `"messages[1].content[0].content[0].type" must be ${MEDIA} or "video" in a tool_result, got "tool_result"`,
    ],
  ]));

const IMAGE = user(TEXT, { type: "image", attachment_id: "a" });
const PADDED = "base64 with padding, not empty";
const CHOICE = '"auto", "required", "none" or an object with the name of a tool';

Deno.test("a v2 request is refused when its attachments break a rule", () =>
  assertAllRefused([
    [{ attachments: null }, '"attachments" must be an array of entries, got null'],
    [{ attachments: {} }, '"attachments" must be an array of entries, got an object'],
    [{ attachments: ["a"] }, '"attachments[0]" must be an object, got "a"'],
    [
      {
        attachments: Array.from({ length: 33 }, (_, index) => attachment({ id: `a${index}` })),
        messages: [user(...Array.from({ length: 33 }, (_, index) => ({ type: "image", attachment_id: `a${index}` })))],
      },
      '"attachments" must have at most 32 entries, got 33',
    ],
    [{ attachments: [attachment({ id: "" })] }, '"attachments[0].id" must be a non-empty string, got ""'],
    [{ attachments: [attachment({ id: 1 })] }, '"attachments[0].id" must be a non-empty string, got 1'],
    [
      { attachments: [attachment(), attachment()], messages: [IMAGE] },
      '"attachments[1].id" must be unique, got "a" again',
    ],
    [
      { attachments: [attachment({ kind: "file" })] },
      '"attachments[0].kind" must be "image", "audio" or "video", got "file"',
    ],
    [{ attachments: [attachment({ mime: null })] }, '"attachments[0].mime" must be a string, got null'],
    [
      { attachments: [attachment({ mime: undefined })] },
      '"attachments[0].mime" must be given, since "attachments[0].bytes" are none of ' +
      "PNG, JPEG, GIF, WebP, AVIF, HEIC, WAV, MP3, FLAC, Ogg, MP4, QuickTime and WebM",
    ],
    [
      { attachments: [attachment({ kind: "audio", mime: undefined, bytes: "iVBORw0KGgo=" })] },
      '"attachments[0].kind" must be "image", since "attachments[0].bytes" are image/png, got "audio"',
    ],
    [
      { attachments: [attachment({ kind: "image", mime: undefined, bytes: btoa("OggS\0\x02") })] },
      '"attachments[0].kind" must be "audio" or "video", since "attachments[0].bytes" are audio/ogg, got "image"',
    ],
    [
      { attachments: [attachment({ mime: undefined, bytes: "AA=A" })] },
      `"attachments[0].bytes" must be ${PADDED}, got "AA=A"`,
    ],
    [
      { attachments: [attachment({ mime: "audio/wav" })] },
      '"attachments[0].mime" must be "image/" and a subtype, got "audio/wav"',
    ],
    [
      { attachments: [attachment({ mime: "image/" })] },
      '"attachments[0].mime" must be "image/" and a subtype, got "image/"',
    ],
    [
      { attachments: [attachment({ mime: "image/png\n" })] },
      '"attachments[0].mime" must be "image/" and a subtype, got "image/png\\n"',
    ],
    [{ attachments: [attachment({ mime: "png" })] }, '"attachments[0].mime" must be "image/" and a subtype, got "png"'],
    [{ attachments: [attachment({ bytes: [1] })] }, '"attachments[0].bytes" must be a string, got an array'],
    [{ attachments: [attachment({ bytes: "" })] }, `"attachments[0].bytes" must be ${PADDED}, got ""`],
    [{ attachments: [attachment({ bytes: "AAA" })] }, `"attachments[0].bytes" must be ${PADDED}, got "AAA"`],
    [{ attachments: [attachment({ bytes: "A===" })] }, `"attachments[0].bytes" must be ${PADDED}, got "A==="`],
    [{ attachments: [attachment({ bytes: "AA=A" })] }, `"attachments[0].bytes" must be ${PADDED}, got "AA=A"`],
    [{ attachments: [attachment({ bytes: "AA-_" })] }, `"attachments[0].bytes" must be ${PADDED}, got "AA-_"`],
    // Base64 is checked in parts of this length.
    [
      { attachments: [attachment({ bytes: `${"A".repeat(65_534)}==AAAA` })] },
      `"attachments[0].bytes" must be ${PADDED}, got "${"A".repeat(40)}…"`,
    ],
    [
      { attachments: [attachment({ bytes: `${"A".repeat(65_532)}    AAAA` })] },
      `"attachments[0].bytes" must be ${PADDED}, got "${"A".repeat(40)}…"`,
    ],
    [
      { attachments: [attachment({ mime: undefined, bytes: `${"A".repeat(2_000_000)}-AAA` })] },
      `"attachments[0].bytes" must be ${PADDED}, got a text of 2000004 characters`,
    ],
    [{ attachments: [attachment({ bytes: "AA A" })] }, `"attachments[0].bytes" must be ${PADDED}, got "AA A"`],
    [
      { messages: [IMAGE] },
      '"messages[0].content[1].attachment_id" must be the id of an attachment, got "a"',
    ],
    [
      { messages: [user({ type: "image" })], attachments: [attachment()] },
      '"messages[0].content[0].attachment_id" must be a string, got nothing',
    ],
    [
      { messages: [user({ type: "image", attachment_id: "b" })], attachments: [attachment()] },
      '"messages[0].content[0].attachment_id" must be the id of an attachment, got "b"',
    ],
    [
      { messages: [user({ type: "audio", attachment_id: "a" })], attachments: [attachment()] },
      '"messages[0].content[0].attachment_id" must be the id of an attachment of kind "audio", but "a" is of kind "image"',
    ],
    [
      { messages: [IMAGE], attachments: [attachment(), attachment({ id: "b" })] },
      '"attachments[1]" must be referred to by a block, but "b" is not',
    ],
  ]));

Deno.test("a v2 request is refused when tools break a rule", () =>
  assertAllRefused([
    [{ tools: {} }, '"tools" must be an array of entries, got an object'],
    [{ tools: [1] }, '"tools[0]" must be an object, got 1'],
    [
      { tools: Array.from({ length: 200 }, (_, index) => tool({ name: `t${index}` })) },
      '"tools" must have at most 128 entries, got 200',
    ],
    [{ tools: [tool({ name: undefined })] }, '"tools[0].name" must be a string, got nothing'],
    [
      { tools: [tool({ name: "" })] },
      `"tools[0].name" must be ${NAME}, got ""`,
    ],
    [
      { tools: [tool({ name: "calendar.respond to/event" })] },
      `"tools[0].name" must be ${NAME}, but character 17 of "calendar.respond to/event" is " " (U+0020)`,
    ],
    [
      { tools: [tool(), tool({ name: `${"x".repeat(100)}\n` })] },
      `"tools[1].name" must be ${NAME}, but character 101 of "${"x".repeat(100)}\\n" is "\\n" (U+000A)`,
    ],
    [
      { tools: [tool({ name: "größe" })] },
      `"tools[0].name" must be ${NAME}, but character 3 of "größe" is "ö" (U+00F6)`,
    ],
    [
      { tools: [tool({ name: "a👩b" })] },
      `"tools[0].name" must be ${NAME}, but character 2 of "a👩b" is "👩" (U+1F469)`,
    ],
    [
      { tools: [tool({ name: "x".repeat(129) })] },
      `"tools[0].name" must be ${NAME}, got 129 characters: "${"x".repeat(128)}…"`,
    ],
    [{ tools: [tool(), tool()] }, '"tools[1].name" must be unique, got "t" again'],
    [
      { tools: [tool({ name: "n".repeat(128) }), tool({ name: "n".repeat(128) })] },
      `"tools[1].name" must be unique, got "${"n".repeat(128)}" again`,
    ],
    [{ tools: [tool({ description: undefined })] }, '"tools[0].description" must be a string, got nothing'],
    [{ tools: [tool({ description: null })] }, '"tools[0].description" must be a string, got null'],
    [{ tools: [tool({ input_schema: undefined })] }, '"tools[0].input_schema" must be an object, got nothing'],
    [{ tools: [tool({ input_schema: true })] }, '"tools[0].input_schema" must be an object, got true'],
    [{ tools: [tool({ input_schema: [] })] }, '"tools[0].input_schema" must be an object, got an empty array'],
    [
      { tools: [tool({ input_schema: { type: "string" } })] },
      '"tools[0].input_schema.type" must be "object", got "string"',
    ],
    [
      { tools: [tool({ input_schema: { type: ["object", "null"] } })] },
      '"tools[0].input_schema.type" must be "object", got an array',
    ],
    [
      { tools: [tool({ input_schema: { a: nested(64) } })] },
      '"tools[0].input_schema" must be at most 64 levels deep',
    ],
    [
      { tools: [tool({ input_schema: { description: "x".repeat(2 ** 20) } })] },
      '"tools[0].input_schema" must have at most 262144 characters of JSON, got 1048594',
    ],
    [
      { tools: [tool()], tool_choice: "any" },
      `"tool_choice" must be ${CHOICE}, got "any"`,
    ],
    [{ tools: [tool()], tool_choice: null }, `"tool_choice" must be ${CHOICE}, got null`],
    [{ tools: [tool()], tool_choice: ["t"] }, `"tool_choice" must be ${CHOICE}, got an array`],
    [
      { tools: [tool()], tool_choice: { type: "function", function: { name: "t" } } },
      '"tool_choice.name" must be a string, got nothing',
    ],
    [{ tools: [tool()], tool_choice: { name: 1 } }, '"tool_choice.name" must be a string, got 1'],
    [
      { tools: [tool(), tool({ name: "a.b" })], tool_choice: { name: "T" } },
      '"tool_choice.name" must be the name of one of the tools, "t" or "a.b", got "T"',
    ],
    [{ tool_choice: { name: "t" } }, '"tool_choice" can name a tool only with "tools"'],
    [{ tool_choice: { name: "t" }, tools: [] }, '"tool_choice" can name a tool only with "tools"'],
    [{ tool_choice: "required" }, '"tool_choice" can be "required" only with "tools"'],
    [{ tool_choice: "required", tools: [] }, '"tool_choice" can be "required" only with "tools"'],
  ]));

const FORMAT = { type: "json_schema", schema: { type: "object" } };

Deno.test("a v2 request is refused with the path of what cannot be compiled when a schema has it", () =>
  assertAllRefused([
    [
      { response_format: { ...FORMAT, schema: { properties: { "a b": { $ref: "#/$defs/no" } } } } },
      '"response_format.schema.properties["a b"].$ref" refers to nothing, got "#/$defs/no"',
    ],
    [
      {
        response_format: {
          ...FORMAT,
          schema: {
            $ref: "#/$defs/t",
            $defs: { t: { type: "object", required: ["t"], properties: { t: { $ref: "#/$defs/t" } } } },
          },
        },
      },
      '"response_format.schema.$defs.t.properties.t" must contain itself without end',
    ],
    [
      { tools: [tool(), tool({ name: "u", input_schema: { properties: { a: { type: "date" } } } })] },
      '"tools[1].input_schema.properties.a.type" must be one of object, array, string, number, integer, boolean, null, or a list of them',
    ],
  ]));

Deno.test("a v2 request is refused when response_format breaks a rule", () =>
  assertAllRefused([
    [{ response_format: "json" }, '"response_format" must be an object, got "json"'],
    [
      { response_format: { type: "text" } },
      '"response_format.type" must be "json_schema" or "json_object", got "text"',
    ],
    [{ response_format: { type: "json_schema" } }, '"response_format.schema" must be an object, got nothing'],
    [{ response_format: { ...FORMAT, schema: [] } }, '"response_format.schema" must be an object, got an empty array'],
    [
      { response_format: { ...FORMAT, schema: nested(100) } },
      '"response_format.schema" must be at most 64 levels deep',
    ],
    [
      { response_format: { ...FORMAT, schema: { description: "x".repeat(2 ** 20) } } },
      '"response_format.schema" must have at most 262144 characters of JSON, got 1048594',
    ],
    [
      { response_format: FORMAT, tools: [tool()], tool_choice: "required" },
      '"response_format" cannot go together with "tool_choice": "required"',
    ],
    [
      { response_format: FORMAT, tools: [tool()], tool_choice: { name: "t" } },
      '"response_format" cannot go together with "tool_choice": {"name":"t"}',
    ],
  ]));

Deno.test("a v2 request is refused when one of the fields it shares with v1, or thinking, breaks its rule", () =>
  assertAllRefused([
    [{ thinking: "yes" }, '"thinking" must be true or false, got "yes"'],
    [{ thinking: null }, '"thinking" must be true or false, got null'],
    [{ stream: 1 }, '"stream" must be true or false, got 1'],
    [{ progress: 1 }, '"progress" must be true or false, got 1'],
    [{ return_tokens: "yes" }, '"return_tokens" must be true or false, got "yes"'],
    [{ generation_prompt: null }, '"generation_prompt" must be true or false, got null'],
    [{ template_variables: "x" }, '"template_variables" must be an object, got "x"'],
    [{ template_variables: { tools: [] } }, '"template_variables" must not have "tools", which the daemon sets'],
    [{ messages: [], prompt: "x", template_variables: {} }, '"template_variables" goes without "prompt"'],
    [{ logprobs_after_sampling: true }, '"logprobs_after_sampling" goes with "logprobs" only'],
    [{ suffix: "x" }, '"suffix" goes with "prompt" only'],
    [{ messages: [], prompt: "x", suffix: 1 }, '"suffix" must be a string, got 1'],
    [{ messages: [], prompt: "x", extra: [] }, '"extra" goes with "suffix" only'],
    [{ messages: [], prompt: "x", suffix: "y", extra: {} }, '"extra" must be an array of objects, got an object'],
    [{ messages: [], prompt: "x", suffix: "y", extra: ["a"] }, '"extra[0]" must be an object, got "a"'],
    [{ messages: [], prompt: "x", suffix: "y", extra: [{}] }, '"extra[0].text" must be a string, got nothing'],
    [
      { messages: [], prompt: "x", suffix: "y", extra: [{ text: "a", filename: 1 }] },
      '"extra[0].filename" must be a string, got 1',
    ],
    [{ infill_sampling: "yes" }, '"infill_sampling" must be true or false, got "yes"'],
    [{ infill_sampling: true, ignore_eos: true }, '"infill_sampling" cannot go together with "ignore_eos"'],
    [{ infill_sampling: true, grammar: 'root ::= "a"' }, '"infill_sampling" cannot go together with "grammar"'],
    [{ messages: [], prompt: "x", generation_prompt: true }, '"generation_prompt" goes without "prompt"'],
    [{ temperature: 3 }, '"temperature" must be a number from 0 to 2, got 3'],
    [{ top_p: 0 }, '"top_p" must be a number above 0 and at most 1, got 0'],
    [{ top_k: -1 }, '"top_k" must be an integer from 0 to 2147483647, got -1'],
    [{ max_tokens: 0 }, '"max_tokens" must be an integer of at least 1, got 0'],
    [{ seed: 0.5 }, '"seed" must be an integer from -9007199254740991 to 9007199254740991, got 0.5'],
    [{ stop: "x" }, '"stop" must be an array of strings, got "x"'],
    [{ stop: [""] }, '"stop[0]" must be a non-empty string, got ""'],
    [{ stop: Array(17).fill("s") }, '"stop" must have at most 16 strings, got 17'],
  ]));

Deno.test("a line nested 200 000 deep is refused like any other", async () => {
  await using test = await DaemonUnderTest.withMock(SCRIPT);
  using client = await test.surface("v2");
  const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  await client.write(
    `{"id":"r","messages":[{"role":"assistant","content":[{"type":"tool_use","tool_call_id":"c","name":"t","input":${
      deep(200_000)
    }}]}]}\n`,
  );
  assertEquals((await client.frame()).message, '"messages[0].content[0].input" must be at most 64 levels deep');
  await client.write(`{"id":"r","messages":${deep(200_000)}}\n`);
  assertEquals((await client.frame()).message, '"messages" must be a non-empty array, got an object');
});

Deno.test("a v2 request is served when it is on the edge of every rule", async () => {
  await using test = await DaemonUnderTest.withMock(SCRIPT);
  using client = await test.surface("v2");
  const media = Array.from({ length: 32 }, (_, index) => ({ type: "image", attachment_id: `a${index}` }));
  const served: Record<string, unknown>[] = [
    { messages: [user({ type: "text", text: "" })] },
    { messages: [USER], attachments: [], tools: [], tool_choice: "none", stop: [] },
    {
      messages: [user(...media)],
      attachments: media.map(({ attachment_id }) =>
        attachment({ id: attachment_id, mime: "Image/SVG+xml", bytes: "AA==" })
      ),
    },
    { messages: [IMAGE], attachments: [attachment({ bytes: `${"A".repeat(65_536)}${"/+".repeat(40_000)}AB==` })] },
    // One attachment may be shown twice, also in a result.
    {
      messages: [IMAGE, assistant(call("c")), user(result("c", [TEXT, { type: "image", attachment_id: "a" }]))],
      attachments: [attachment({ bytes: "AAA=" })],
    },
    // Results may come in turns of their own and in any order.
    { messages: [assistant(call("c"), call("d")), user(result("d")), user(result("c"))] },
    { messages: [assistant(call("c", { input: nested(64) })), user(result("c"))] },
    // Thoughts may stand anywhere in an assistant's turn, also alone, and say nothing.
    { messages: [USER, assistant(thought("x"), TEXT, thought(""), call("c"), thought("y")), user(result("c"))] },
    { messages: [USER, assistant(thought(""))] },
    { tools: Array.from({ length: 128 }, (_, index) => tool({ name: `t${index}`.padEnd(128, "-./:_Zz9") })) },
    { tools: [tool({ name: "9" }), tool({ name: ":a/b" })], tool_choice: { name: ":a/b", type: "tool" } },
    // What was called elsewhere may be told, whether it is offered here or not.
    { messages: [USER, assistant(call("c", { name: "admin.tools/list:all" })), user(result("c"))] },
    { tools: [tool({ input_schema: {} })], response_format: FORMAT },
    {
      response_format: {
        type: "json_schema",
        schema: {
          $defs: { tree: { type: "object", properties: { child: { $ref: "#/$defs/tree" } } } },
          $ref: "#/$defs/tree",
        },
      },
    },
  ];
  for (const fields of served) {
    await client.send({ messages: [USER], stream: false, ...fields });
    assertEquals(JSON.parse((await client.answer()).at(-1) ?? "").type, "done");
  }
});

Deno.test("attachments of a kind no backend takes are attachment_unsupported, after every rule was looked at", async () => {
  await using test = await DaemonUnderTest.withMock(SCRIPT);
  using client = await test.surface("v2");
  const video = attachment({ kind: "video", mime: "video/mp4" });
  const messages = [user({ type: "video", attachment_id: "a" })];
  const unsupported = 'Backend "m1" takes no attachments of kind "video"';
  await assertRefused(client, [{ messages, attachments: [video] }, unsupported], "attachment_unsupported");
  await assertRefused(client, [
    { messages, attachments: [video], top_p: 2 },
    '"top_p" must be a number above 0 and at most 1, got 2',
  ]);
});
