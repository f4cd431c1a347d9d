/**
 * All published families: nothing that a request brings becomes a token, calls come back as they were, and how long
 * templates take. Needs `INFERD_LLAMA_CPP_DIR`, a folder with llama.cpp's source, of the release that
 * docs/operations.md names; skipped without.
 */
import { FakeTime } from "@std/testing/time";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { ChatMessage } from "../../src/inference/request.ts";
import { Chat } from "../../src/engine/chat/chat.ts";
import type { ChatModel } from "../../src/engine/chat/chat_format.ts";
import { openLibrary } from "../../src/engine/native/library.ts";
import { Model } from "../../src/engine/native/model.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { fits, PLAIN_TOOLS } from "../support/calls.ts";
import type { TestModel } from "../support/chat_model.ts";
import { assertIdentity, sayable } from "../support/identity.ts";
import { inject } from "../support/injection.ts";
import { PUBLISHED, type Published, publishedModel, readTemplate } from "../support/published/facts.ts";

const folder = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";

async function load(published: Published): Promise<{ readonly model: TestModel; readonly chat: Chat }> {
  const model = publishedModel(published, await readTemplate(folder, published.file));
  return { model, chat: await Chat.of(model, 1_000_000) };
}

Deno.test({
  name: "nothing that a request brings becomes a token of its own in any published family",
  ignore: folder === "",
  async fn(): Promise<void> {
    const leaking: unknown[] = [];
    let tried = 0;
    for (const published of PUBLISHED) {
      const { model, chat } = await load(published);
      const names = model.specialTokens.map(({ name }) => name).filter((name) => name.length > 1);
      const { leaks, refused, restructured, tried: places } = inject(model, chat, names);
      tried += places - refused.length;
      leaking.push(...leaks.map((leak) => ({ file: published.file, ...leak })));
      if (refused.length > 0) console.log(`${published.file} refuses ${refused.join(", ")}`);
      if (restructured.length > 0) {
        console.log(`${published.file} takes its own markers apart in ${restructured.join(", ")}`);
      }
    }
    console.log(`${tried} places in ${PUBLISHED.length} families, all markers of the family in each`);
    assertEquals(leaking, []);
  },
});

/** Families whose templates show no calls, and why. */
const WITHOUT_CALLS: Readonly<Record<string, string>> = {
  "CohereForAI-c4ai-command-r-plus-tool_use":
    "It shows past calls in a list of its own kind, and takes no results by id",
  "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "It leaves calls out",
  "llama-cpp-deepseek-r1": "It fails on tools",
  "google-gemma-2-2b-it": "It knows no tools",
  "llama-cpp-rwkv-world": "It knows no tools",
  "microsoft-Phi-3.5-mini-instruct": "It knows no tools",
};

/** Families that make calls which their templates do not show. */
const UNSEEN: readonly string[] = [
  "HuggingFaceTB-SmolLM3-3B",
  "LFM2-8B-A1B",
  "LFM2.5-Instruct",
  "ibm-granite-granite-3.3-2B-Instruct",
];

/** What comes back otherwise than it was said, and why. */
const EXCEPTIONS: readonly { readonly file: RegExp; readonly what: RegExp; readonly why: string }[] = [
  {
    file:
      /^(Cohere|MiniMax-M1$|Mistral-Small|mistralai-Mistral-Nemo|NousResearch|deepseek-ai-DeepSeek-R1|meta-llama|muse)/,
    what: /^text before/,
    why: "The template leaves out the text of a message with calls, or has it elsewhere",
  },
  { file: /^google-gemma-4/, what: /^text before/, why: "The template has the text behind the calls" },
  { file: /^openai-gpt-oss/, what: /^text before/, why: "The template makes the text a thought" },
  { file: /^(upstage-Solar|GigaChat3-)/, what: /^text before/, why: "The end of a text ends the answer" },
  {
    file: /^(GLM-4\.6|Reka-Edge|poolside-Laguna-XS)/,
    what: /^text before/,
    why: "The template begins the answer with space that the prompt for it lacks",
  },
  { file: /^Apertus/, what: /^text before/, why: "Nothing tells the end of the calls from what comes before results" },
  { file: /^MiniMax-M3$/, what: /^objects and lists$/, why: "The template leaves out null" },
  { file: /^Reka-Edge$/, what: /^other scripts$/, why: "It escapes characters in two halves, which the grammar bars" },
];

Deno.test({
  name: "calls of every published family that renders them come back as they were",
  ignore: folder === "",
  async fn(): Promise<void> {
    const failed: string[] = [];
    let families = 0;
    let cases = 0;
    for (const published of PUBLISHED) {
      const { file } = published;
      const { model, chat } = await load(published);
      const called = chat.dialect.call !== undefined;
      assertEquals([file, called], [file, !(file in WITHOUT_CALLS)]);
      if (!called || UNSEEN.includes(file)) continue;
      families++;
      for (const [what, said] of Object.entries(sayable(model, chat, true))) {
        if (!fits(said, PLAIN_TOOLS) || EXCEPTIONS.some((it) => it.file.test(file) && it.what.test(what))) continue;
        cases++;
        try {
          // Some templates write the time, and one case renders more than once.
          using _clock = new FakeTime();
          assertIdentity(model, chat, said, { label: `${file}, ${what}`, everywhere: true, tools: PLAIN_TOOLS });
        } catch (error) {
          failed.push(`${file}, ${what}: ${error instanceof Error ? error.message : error}`);
        }
      }
    }
    console.log(`${families} families, ${cases} answers`);
    assertEquals(failed, []);
  },
});

/** A model's vocabulary with another template. */
function withTemplate(model: Model, template: string): ChatModel {
  const metadata = new Map([...model.metadata, ["tokenizer.chat_template", template]]);
  return new Proxy(model, {
    get: (target, key): unknown => {
      if (key === "metadata") return metadata;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Questions with calls, results and answers. */
function rounds(count: number): ChatMessage[] {
  return Array.from({ length: count }, (_, index): ChatMessage[] => {
    const toolCallId = `call${index}`.padEnd(9, "x");
    return [
      { role: "user", content: `What is the weather in city ${index}?` },
      { role: "assistant", content: [{ type: "tool_use", toolCallId, name: "get_weather", input: { city: "x" } }] },
      { role: "user", content: [{ type: "tool_result", toolCallId, content: [{ type: "text", text: "7 degrees" }] }] },
      { role: "assistant", content: "It is 7 degrees." },
    ];
  }).flat();
}

function middle(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(part * (sorted.length - 1))] ?? NaN).toFixed(1);
  return `median ${at(0.5)} ms, longest ${at(1)} ms`;
}

Deno.test({
  name: "times of templates with a real vocabulary are told",
  ignore: folder === "",
  async fn(): Promise<void> {
    const path = join(folder, "models", "ggml-vocab-qwen2.gguf");
    const library = openLibrary({ folder: await packagedFolder(), own: false });
    const model = await Model.load(library, [path], { vocabularyOnly: true });
    const messages = [...rounds(12), { role: "user", content: "Thanks" } as const];
    const loads: number[] = [];
    const renders: number[] = [];
    for (const { file } of PUBLISHED) {
      const own = withTemplate(model, await readTemplate(folder, file));
      let begin = performance.now();
      const chat = await Chat.of(own, 1_000_000);
      loads.push(performance.now() - begin);
      if (!chat.tools) continue;
      for (let round = 0; round < 5; round++) {
        begin = performance.now();
        chat.text({ messages, tools: PLAIN_TOOLS, toolChoice: "auto", thinking: false });
        if (round > 1) renders.push(performance.now() - begin);
      }
    }
    console.log(`${model.vocabularySize} tokens, work on a template when a model is loaded: ${middle(loads)}`);
    console.log(`${messages.length} messages with tools rendered: ${middle(renders)}`);
    assertEquals(loads.length, PUBLISHED.length);
  },
});
