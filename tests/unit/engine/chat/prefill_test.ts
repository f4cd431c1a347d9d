/** Answers that the conversation has begun already. */
import { assert, assertEquals } from "@std/assert";
import { type ChatMessage, type ContentBlock, PLAIN } from "../../../../src/inference/request.ts";
import { Chat } from "../../../../src/engine/chat/chat.ts";
import { shown } from "../../../support/chat_model.ts";
import { CHATML, FAMILIES, type Family, familyModel, HARMONY, HERMES } from "../../../support/families/mod.ts";

const HI: ChatMessage = { role: "user", content: "Hi" };

interface Begun {
  readonly prompt: string;
  readonly start: string;
}

async function begin(family: Family, content: ChatMessage["content"], thinking = false): Promise<Begun> {
  const model = familyModel(family);
  const chat = await Chat.of(model, 4096);
  const messages: ChatMessage[] = [HI, { role: "assistant", content }];
  const { tokens, start } = chat.render({ ...PLAIN, messages, thinking });
  return { prompt: shown(model, tokens), start };
}

for (const family of FAMILIES) {
  Deno.test(`answer goes on where the assistant has begun it when the family is ${family.name}`, async () => {
    for (const thinking of [false, true]) {
      const { prompt, start } = await begin(family, "The weather is", thinking);
      assert(prompt.endsWith("The weather is"), prompt);
      assertEquals([prompt.split("The weather is").length, start], [2, "text"]);
    }
  });
}

Deno.test("answer goes on in the channel for answers when the assistant has begun it", async () => {
  const { prompt } = await begin(HARMONY, "So");
  assert(prompt.endsWith("«<|start|>»assistant«<|channel|>»final«<|message|>»So"), prompt);
});

Deno.test("space at the end of what the assistant has begun stays", async () => {
  const { prompt } = await begin(CHATML, "So \n");
  assert(prompt.endsWith("«<|im_start|>»assistant\nSo \n"), prompt);
});

Deno.test("thought goes on where the assistant has begun it and said nothing yet", async () => {
  const thought: ContentBlock[] = [{ type: "thinking", text: "Let me see" }];
  const { prompt, start } = await begin(HERMES, thought, true);
  assertEquals(start, "thought");
  assert(prompt.endsWith("«<|im_start|>»assistant\n«<think>»\nLet me see"), prompt);
});

Deno.test("thought comes before the text that the assistant has begun", async () => {
  const blocks: ContentBlock[] = [{ type: "thinking", text: "Let me see" }, { type: "text", text: "So" }];
  const { prompt, start } = await begin(HERMES, blocks, true);
  assertEquals(start, "text");
  assert(prompt.endsWith("«<think>»\nLet me see\n«</think>»\n\nSo"), prompt);
});

Deno.test("thought that the template has no place for begins no answer", async () => {
  const { prompt, start } = await begin(CHATML, [{ type: "thinking", text: "Let me see" }]);
  assertEquals([prompt, start], ["«<|im_start|>»user\nHi«<|im_end|>»\n«<|im_start|>»assistant\n", "text"]);
});
