/** The events of a streamed response, in the order clients expect. */
import type { GenerationEvent, GenerationResult } from "@inferd/client";
import { toApiError } from "../../api_error.ts";
import { serverSentEvent } from "../../event_stream.ts";
import { Progress, timingsOf } from "../../llama_server/timings.ts";
import { responseLogprobs } from "../logprobs.ts";
import type { Body } from "./request.ts";
import { wantsSummary } from "./request.ts";
import { namesOf } from "./tools.ts";
import { callItem, type Head, messageItem, newId, type OutputItem, reasoningItem, responseObject } from "./response.ts";

interface OpenItem {
  readonly type: "text" | "thinking";
  readonly id: string;
  text: string;
  /** Its logprobs, if requested. */
  readonly logprobs: unknown[];
}

export class ResponseBuilder {
  readonly #head: Head;
  readonly #asked: Body;
  readonly #progress: Progress;
  readonly #output: OutputItem[] = [];
  #open: OpenItem | undefined;
  #calls = 0;
  #sequence = 0;

  constructor(head: Head, asked: Body) {
    this.#head = head;
    this.#asked = asked;
    this.#progress = new Progress(asked);
  }

  get output(): readonly OutputItem[] {
    return this.#output;
  }

  /** The first events. */
  begin(): string {
    const response = responseObject(this.#head, this.#asked, { status: "in_progress", output: [] });
    return this.#event("response.created", { response }) + this.#inProgress();
  }

  /** @param fields llama-server's, of a prompt that is being processed. */
  #inProgress(fields: Record<string, unknown> = {}): string {
    const response = responseObject(this.#head, this.#asked, { status: "in_progress", output: [] });
    return this.#event("response.in_progress", { response, ...fields });
  }

  /** Events for a piece of the answer. */
  take(event: Exclude<GenerationEvent, { type: "done" }>): string {
    if (event.type === "progress") {
      const fields = this.#progress.take(0, event);
      return fields === undefined ? "" : this.#inProgress(fields);
    }
    if (event.type === "thinking") return this.#text(event.type, event.text, []);
    if (event.type === "text") return this.#text(event.type, event.text, responseLogprobs(event.logprobs));
    if (this.#asked.parallel_tool_calls === false && this.#calls > 0) return "";
    this.#calls++;
    const closed = this.#close("completed");
    const id = newId("fc");
    const { toolCallId: callId } = event;
    const names = namesOf(event.name, this.#asked.tools);
    const text = JSON.stringify(event.input);
    const where = { item_id: id, output_index: this.#output.length };
    const item = callItem(id, { ...names, callId, text }, "completed");
    const events = this.#event("response.output_item.added", {
      output_index: where.output_index,
      item: callItem(id, { ...names, callId, text: "" }, "in_progress"),
    }) + this.#event("response.function_call_arguments.delta", { ...where, delta: text }) +
      this.#event("response.function_call_arguments.done", { ...where, name: names.name, arguments: text }) +
      this.#event("response.output_item.done", { output_index: where.output_index, item });
    this.#output.push(item);
    return closed + events;
  }

  end(result: GenerationResult): string {
    const status = statusOf(result);
    const closed = this.#close(status);
    const response = responseObject(this.#head, this.#asked, { status, output: this.#output, result });
    const timings = this.#asked.timings_per_token ? timingsOf(result) : {};
    return closed + this.#event(`response.${status}`, { response, ...timings });
  }

  /** The final event of a response that failed after it began. */
  fail(error: unknown): string {
    const { message, code, param } = toApiError(error);
    return this.#event("error", { code: code ?? null, message, param: param ?? null });
  }

  #text(type: OpenItem["type"], text: string, logprobs: readonly unknown[]): string {
    let events = "";
    if (this.#open?.type !== type) {
      events = this.#close("completed");
      this.#open = { type, id: newId(type === "text" ? "msg" : "rs"), text: "", logprobs: [] };
      events += this.#added(this.#open);
    }
    const open = this.#open as OpenItem;
    open.text += text;
    open.logprobs.push(...logprobs);
    const { delta } = this.#names(open);
    return events +
      this.#event(delta, {
        ...this.#place(open),
        delta: text,
        ...(type === "text" ? { logprobs } : {}),
        ...this.#progress.of(0),
      });
  }

  #added(open: OpenItem): string {
    const item = open.type === "text"
      ? messageItem(open.id, undefined, "in_progress")
      : reasoningItem(open.id, "", this.#asked);
    return this.#event("response.output_item.added", { output_index: this.#output.length, item }) +
      this.#event(this.#names(open).added, { ...this.#place(open), part: this.#part(open) });
  }

  #close(status: "completed" | "incomplete"): string {
    const open = this.#open;
    if (open === undefined) return "";
    const item = open.type === "text"
      ? messageItem(open.id, open, status)
      : reasoningItem(open.id, open.text, this.#asked);
    const names = this.#names(open);
    const logprobs = open.type === "text" ? { logprobs: open.logprobs } : {};
    const events = this.#event(names.done, { ...this.#place(open), text: open.text, ...logprobs }) +
      this.#event(names.partDone, { ...this.#place(open), part: this.#part(open) }) +
      this.#event("response.output_item.done", { output_index: this.#output.length, item });
    this.#output.push(item);
    this.#open = undefined;
    return events;
  }

  #names({ type }: OpenItem): Readonly<Record<"added" | "delta" | "done" | "partDone", string>> {
    if (type === "thinking" && wantsSummary(this.#asked)) {
      const head = "response.reasoning_summary";
      return {
        added: `${head}_part.added`,
        delta: `${head}_text.delta`,
        done: `${head}_text.done`,
        partDone: `${head}_part.done`,
      };
    }
    const text = type === "text" ? "response.output_text" : "response.reasoning_text";
    return {
      added: "response.content_part.added",
      delta: `${text}.delta`,
      done: `${text}.done`,
      partDone: "response.content_part.done",
    };
  }

  #place({ id, type }: OpenItem): Record<string, unknown> {
    const index = type === "thinking" && wantsSummary(this.#asked) ? { summary_index: 0 } : { content_index: 0 };
    return { item_id: id, output_index: this.#output.length, ...index };
  }

  #part({ type, text, logprobs }: OpenItem): Record<string, unknown> {
    if (type === "text") return { type: "output_text", text, annotations: [], logprobs };
    return { type: wantsSummary(this.#asked) ? "summary_text" : "reasoning_text", text };
  }

  #event(type: string, fields: Record<string, unknown>): string {
    return serverSentEvent({ type, sequence_number: this.#sequence++, ...fields }, type);
  }
}

export function statusOf({ stopReason }: GenerationResult): "completed" | "incomplete" {
  return stopReason === "max_tokens" ? "incomplete" : "completed";
}
