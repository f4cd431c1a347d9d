/** Lets a model say something, token by token, as far as a request lets it. */
import { type GenerationRequest, PLAIN } from "../../src/inference/request.ts";
import type { Answers } from "../../src/engine/generate/answers.ts";
import { finish } from "../../src/work/work.ts";
import type { EngineEvent } from "../../src/engine/ipc/messages.ts";
import type { Job } from "../../src/engine/generate/running.ts";
import { shown, type TestModel } from "./chat_model.ts";

/** What came, pieces of text and thought put together; and what was refused, if something was. */
export interface Played {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly unknown[];
  readonly end: unknown;
  readonly refused?: string;
}

/** What nothing came of. */
export const NOTHING = { text: "", thinking: "", calls: [] };

/** A request as a job. */
export function ask(answers: Answers, asked: Partial<GenerationRequest>): Job {
  return finish(answers.job(1, {
    ...PLAIN,
    messages: [{ role: "user", content: "What is the weather in Oslo?" }],
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 1000,
    stop: [],
    ...asked,
  }));
}

/** Say these tokens in answer to a request. */
export function playTokens(model: TestModel, { answer }: Job, tokens: readonly number[]): Played {
  const events: EngineEvent[] = [];
  let end: unknown;
  let refused: string | undefined;
  for (const [index, token] of tokens.entries()) {
    if (answer.constraint?.allows(token) === false) {
      refused = shown(model, tokens.slice(index)).replaceAll(/[«»]/g, "");
      break;
    }
    if (!answer.ends(token) && !answer.accept(token, events)) continue;
    end = answer.finish(false, events)?.done;
    break;
  }
  if (end === undefined && refused === undefined) end = answer.finish(true, events);
  return {
    text: events.map((event) => "t" in event ? event.t : "").join(""),
    thinking: events.map((event) => "think" in event ? event.think : "").join(""),
    calls: events.flatMap((event) => "call" in event ? [{ name: event.call, input: event.input }] : []),
    end: events.find((event) => "error" in event) ?? end,
    ...(refused === undefined ? {} : { refused }),
  };
}
