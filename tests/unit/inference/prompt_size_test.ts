import { assertEquals } from "@std/assert";
import { PLAIN } from "../../../src/inference/request.ts";
import { leastTokens } from "../../../src/inference/prompt_size.ts";

Deno.test("leastTokens counts a token for each message and each longest piece of text that has to be shown", () => {
  const user = { role: "user", content: "x".repeat(100) } as const;
  assertEquals(leastTokens({ ...PLAIN, messages: [user] }, 10), 11);
  assertEquals(leastTokens({ ...PLAIN, messages: [user, { role: "assistant", content: "" }, user] }, 10), 23);
  const blocks = {
    role: "assistant",
    content: [
      { type: "thinking", text: "x".repeat(1000) },
      { type: "text", text: "x".repeat(20) },
      { type: "tool_result", toolCallId: "1", content: [{ type: "text", text: "x".repeat(30) }] },
    ],
  } as const;
  assertEquals(leastTokens({ ...PLAIN, messages: [blocks] }, 10), 6);
});

Deno.test("leastTokens counts each token id and each longest piece of text of a prompt", () => {
  assertEquals(leastTokens({ ...PLAIN, messages: [], prompt: [5, "x".repeat(25), 7] }, 10), 4);
});

Deno.test("leastTokens counts what is said of tools when they may be called", () => {
  const tools = [{ name: "t", description: "x".repeat(50), inputSchema: {} }];
  assertEquals(leastTokens({ ...PLAIN, messages: [], tools }, 10), 5);
  assertEquals(leastTokens({ ...PLAIN, messages: [], tools, toolChoice: "none" }, 10), 0);
});
