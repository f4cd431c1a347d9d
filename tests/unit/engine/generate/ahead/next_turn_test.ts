import { assert, assertEquals } from "@std/assert";
import { Chat } from "../../../../../src/engine/chat/chat.ts";
import { nextTurn } from "../../../../../src/engine/generate/ahead/next_turn.ts";
import { commonPrefix } from "../../../../../src/engine/generate/slots.ts";
import { type ChatMessage, PLAIN, type Tool } from "../../../../../src/inference/request.ts";
import { finish } from "../../../../../src/work/work.ts";
import { CALLING, FAMILIES, familyModel, HERMES } from "../../../../support/families/mod.ts";

const TOOL: Tool = {
  name: "get_weather",
  description: "Weather in a city",
  inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const QUESTION: ChatMessage = { role: "user", content: "How is the weather in Oslo?" };

for (const family of FAMILIES) {
  Deno.test(`nextTurn is what a prompt with any message begins with, up to that message, for ${family.name}`, async () => {
    const chat = await Chat.of(familyModel(family), 20_000);
    const said = { thinking: "", text: "It is fine there.", calls: [] };
    const tokens = finish(nextTurn(chat, { ...PLAIN, messages: [QUESTION] }, said));
    const message = "thanks for that";
    const answered: ChatMessage[] = [QUESTION, { role: "assistant", content: said.text }];
    const next = chat.render({ ...PLAIN, messages: [...answered, { role: "user", content: message }] }).tokens;
    assertEquals(commonPrefix(next, tokens), tokens.length);
    const empty = chat.render({ ...PLAIN, messages: [...answered, { role: "user", content: "x" }] }).tokens;
    assertEquals(tokens.length, commonPrefix(next, empty));
  });
}

for (const family of CALLING) {
  Deno.test(`nextTurn after calls is what a prompt with their results begins with, for ${family.name}`, async () => {
    const chat = await Chat.of(familyModel(family), 20_000);
    const call = { name: TOOL.name, input: { city: "Oslo" } };
    const asked = { ...PLAIN, messages: [QUESTION], tools: [TOOL] };
    const tokens = finish(nextTurn(chat, asked, { thinking: "", text: "", calls: [call] }));
    const next = chat.render({
      ...asked,
      messages: [
        QUESTION,
        { role: "assistant", content: [{ type: "tool_use", toolCallId: "tc-1", ...call }] },
        {
          role: "user",
          content: [{ type: "tool_result", toolCallId: "tc-1", content: [{ type: "text", text: "It rains." }] }],
        },
      ],
    }).tokens;
    assertEquals(commonPrefix(next, tokens), tokens.length);
    const first = chat.render(asked).tokens;
    assert(tokens.length > first.length + "Oslo".length, `${tokens.length} of ${next.length}`);
  });
}

Deno.test("nextTurn counts calls through the conversation, and goes on with what the assistant had begun", async () => {
  const chat = await Chat.of(familyModel(HERMES), 20_000);
  const begun: ChatMessage = { role: "assistant", content: "It is" };
  const tokens = finish(
    nextTurn(chat, { ...PLAIN, messages: [QUESTION, begun] }, { thinking: "", text: " fine.", calls: [] }),
  );
  const whole = finish(
    nextTurn(chat, { ...PLAIN, messages: [QUESTION] }, { thinking: "", text: "It is fine.", calls: [] }),
  );
  assertEquals(tokens, whole);
});
