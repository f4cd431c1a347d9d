/** What the daemon renders with the published templates, cell by cell beside what Python's jinja2 renders. */
import type { JsonObject } from "../../../src/inference/request.ts";
import { Chat } from "../../../src/engine/chat/chat.ts";
import { guardedTokens } from "../../../src/engine/chat/render/guarded.ts";
import { Prober } from "../../../src/engine/chat/probe/prober.ts";
import { TemplateRenderer } from "../../../src/engine/chat/render/renderer.ts";
import { strftime } from "../../../src/engine/jinja/library/strftime.ts";
import type { Mood } from "../../../src/engine/chat/probe/thinking_switch.ts";
import { type Traits, traitsOf } from "../../../src/engine/chat/probe/traits.ts";
import type { TestModel } from "../chat_model.ts";
import { type Answer, renderWithPython } from "../jinja_reference.ts";
import { type Conversation, CONVERSATIONS, type GivenAs, messagesOf, toolsOf } from "./conversations.ts";
import { PUBLISHED, type Published, publishedModel, readTemplate } from "./facts.ts";

/** One conversation of one family. */
export interface Cell {
  readonly file: string;
  readonly conversation: string;
  readonly thinking: boolean;
  /** What the daemon renders, or why it does not. */
  readonly ours: Answer;
  /** What the template renders, given the variables that the daemon found. */
  readonly theirs: Answer;
  /** The same given the variables that are documented. */
  readonly documented: Answer;
}

/** Which variables the reference is given. */
type Given = "found" | "documented";

interface Way extends Omit<GivenAs, "ids"> {
  /** What it is given where there are no tools. */
  readonly noTools: null | readonly [];
}

/** Ways to give a template a conversation; the first that it takes counts. */
const WAYS: readonly Way[] = [null, [] as const].flatMap((noTools) =>
  (["mapping", "text"] as const).flatMap((args) => [true, false].map((named) => ({ noTools, arguments: args, named })))
);

/**
 * Render all conversations with all templates.
 *
 * @param folder llama.cpp's source.
 * @param python The Python to compare with.
 */
export async function compareAll(folder: string, python: string): Promise<Cell[]> {
  const loaded = await Promise.all(PUBLISHED.map((published) => load(published, folder)));
  const now = new Date();
  const jobs = loaded.map(({ published, template, traits }) => ({
    template,
    variables: [...cellsOf()].flatMap(({ conversation, thinking }) =>
      (["found", "documented"] as const).flatMap((given) =>
        WAYS.map((as) => variablesFor(published, conversation, { thinking, traits, given, as }))
      )
    ),
  }));
  const answers = await renderWithPython(python, jobs, now);
  return loaded.flatMap(({ published, chat }, index) => {
    const own = answers[index] as Answer[];
    return [...cellsOf()].map(({ name, conversation, thinking }, at): Cell => {
      const pick = (given: 0 | 1): Answer => {
        const from = (2 * at + given) * WAYS.length;
        const all = own.slice(from, from + WAYS.length);
        return withoutTime(cut(all.find((answer) => "text" in answer) ?? all[0] as Answer, conversation));
      };
      return {
        file: published.file,
        conversation: name,
        thinking,
        ours: render(chat, conversation, thinking),
        theirs: pick(0),
        documented: pick(1),
      };
    });
  });
}

/** A family's model, its chat, and what was found out about its thinking. */
interface Loaded {
  readonly published: Published;
  readonly template: string;
  readonly model: TestModel;
  readonly chat: Chat;
  readonly traits: Pick<Traits, "switches" | "form">;
}

async function load(published: Published, folder: string): Promise<Loaded> {
  const template = await readTemplate(folder, published.file);
  const model = publishedModel(published, template);
  const chat = await Chat.of(model, 1_000_000);
  return { published, template, model, chat, traits: traitsOfModel(published, template, model) };
}

function traitsOfModel({ bos = "", eos }: Published, template: string, model: TestModel): Loaded["traits"] {
  const specials = guardedTokens(model.specialTokens, template);
  const renderer = new TemplateRenderer({ plain: template }, { bos_token: bos, eos_token: eos });
  const traits = traitsOf(new Prober(renderer, specials, (name) => model.endsAnswer(specials.get(name)?.token ?? -1)));
  if (traits === undefined) throw new RangeError("The template cannot render a question");
  return traits;
}

function* cellsOf(): Generator<{ name: string; conversation: Conversation; thinking: boolean }> {
  for (const [name, conversation] of Object.entries(CONVERSATIONS)) {
    for (const thinking of [false, true]) yield { name, conversation, thinking };
  }
}

function variablesFor(
  { bos = "", eos, ids, documented, asText }: Published,
  conversation: Conversation,
  { thinking, traits: { switches, form }, given, as }: {
    readonly thinking: boolean;
    readonly traits: Loaded["traits"];
    readonly given: Given;
    readonly as: Way;
  },
): JsonObject {
  const mood = thinking ? switches.on : switches.off;
  const messages = messagesOf(conversation, { ...as, ids: ids ?? "given", thoughts: form.thoughts });
  return {
    messages: given === "found" ? inMood(messages, mood) : messages,
    tools: toolsOf(conversation) ?? as.noTools,
    ...(asText ? textsOf(conversation) : {}),
    bos_token: bos,
    eos_token: eos,
    add_generation_prompt: conversation.begun !== true,
    ...(given === "found" ? mood.variables : { enable_thinking: thinking, ...documented?.(thinking) }),
  };
}

/** Tools and the date as text. */
function textsOf(conversation: Conversation): JsonObject {
  const functions = toolsOf(conversation)?.map((tool) => tool.function) ?? [];
  return {
    functions: functions.length === 0 ? "" : JSON.stringify(functions, undefined, 2),
    datetime: strftime(new Date(), "%b %d %Y"),
  };
}

/** Words that switch thinking go into the system message. */
function inMood(messages: JsonObject[], { system }: Mood): JsonObject[] {
  if (system === undefined) return messages;
  const [first, ...others] = messages;
  if (first?.role !== "system") return [{ role: "system", content: system }, ...messages];
  return [{ ...first, content: `${first.content}\n${system}` }, ...others];
}

function render(chat: Chat, { messages, tools }: Conversation, thinking: boolean): Answer {
  try {
    return withoutTime({ text: chat.text({ messages, tools, toolChoice: "auto", thinking }).text });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { error: error.message, raised: true };
  }
}

/** The seconds of two renderings may differ. */
function withoutTime(answer: Answer): Answer {
  return "error" in answer ? answer : { text: answer.text.replace(/\d\d:\d\d:\d\d GMT/, "TIME") };
}

/** Of an answer that the assistant has begun, up to there. */
function cut(answer: Answer, { messages, begun }: Conversation): Answer {
  const content = messages.at(-1)?.content;
  if (begun !== true || "error" in answer || typeof content !== "string") return answer;
  const at = answer.text.lastIndexOf(content);
  return at < 0 ? answer : { text: answer.text.slice(0, at + content.length) };
}
