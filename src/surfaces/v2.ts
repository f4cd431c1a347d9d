/**
 * Generation v2: which fields a request has, what a backend must be able to do for it, and how its frames look. The
 * parts of a request are read in `blocks.ts`, `attachments.ts` and `tools.ts`.
 */
import type { V2DoneFrame, V2Frame, V2MediaKind, V2StopReason } from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { AttachmentUnsupportedError, InvalidRequestError } from "../inference/errors.ts";
import type { BackendEvent, FinishReason } from "../inference/events.ts";
import type { GenerationRequest, ToolUse } from "../inference/request.ts";
import { readBoolean, readRequest, type ResolvedRequest, type Step } from "../pipeline/resolve.ts";
import { Attachments } from "./attachments.ts";
import { readConversation } from "./blocks.ts";
import { readSampling } from "./generation.ts";
import type { Surface } from "./surface.ts";
import { readTools } from "./tools.ts";

const STOP_REASONS: Readonly<Record<FinishReason, V2StopReason>> = {
  end: "end_turn",
  stop: "stop_sequence",
  length: "max_tokens",
  tool_use: "tool_use",
};

/** What frames say of the request and of who answers it. */
interface Answered {
  readonly id: string;
  readonly backend: Backend;
  /** Some models think though they were asked not to: who did not ask for it gets none of it. */
  readonly thinking: boolean;
}

/** The v2 surface. */
export const v2Surface: Surface = {
  name: "v2",
  service: "v2",
  resolve(value: unknown): ResolvedRequest {
    const { id, fields } = readRequest(value);
    const stream = fields.stream === undefined ? true : readBoolean("stream", fields.stream);
    const attachments = new Attachments(fields.attachments === undefined ? [] : fields.attachments);
    const request: GenerationRequest = {
      messages: readConversation(fields.messages, attachments),
      ...readTools(fields),
      thinking: fields.thinking === undefined ? false : readBoolean("thinking", fields.thinking),
      ...readSampling(fields),
    };
    attachments.checkAllUsed();
    return {
      id,
      answer: (backend, signal) => {
        checkAble(backend, { request, kinds: attachments.kinds });
        const events = backend.generate(request, signal);
        const answered = { id, backend, thinking: request.thinking };
        return stream ? answer(events, answered) : answerAtOnce(events, answered);
      },
    };
  },
};

/** Refuse what the backend cannot do, before it is asked. */
function checkAble(
  { name, capabilities }: Backend,
  { request, kinds }: { readonly request: GenerationRequest; readonly kinds: readonly V2MediaKind[] },
): void {
  const { tools, toolChoice } = request;
  for (const kind of kinds) {
    // No engine takes films.
    const able = kind === "image" ? capabilities?.vision : kind === "audio" ? capabilities?.audio : false;
    if (!able) throw new AttachmentUnsupportedError(`Backend "${name}" takes no attachments of kind "${kind}"`);
  }
  if (tools.length > 0 && toolChoice !== "none" && !capabilities?.tools) {
    const choice = JSON.stringify(toolChoice);
    throw new InvalidRequestError(
      `"tool_choice": ${choice} cannot be enforced by backend "${name}": its model calls no tools`,
    );
  }
}

async function* answer(events: AsyncIterable<BackendEvent>, answered: Answered): AsyncGenerator<Step> {
  const { id, thinking } = answered;
  // Most frames are one of these, so what is the same in all of them is written once.
  const head = `{"id":${JSON.stringify(id)},"type":"frame","block":{"type":`;
  const textHead = `${head}"text","delta":`;
  const thinkingHead = `${head}"thinking","delta":`;
  for await (const event of events) {
    switch (event.type) {
      case "text":
        yield `${textHead}${JSON.stringify(event.text)}}}\n`;
        break;
      case "thinking":
        yield thinking ? `${thinkingHead}${JSON.stringify(event.text)}}}\n` : "";
        break;
      case "tool_use":
        yield toolUseFrame(id, event);
        break;
      case "done":
        yield terminal(event, answered);
        return;
    }
  }
}

/** The same with each kind of block in one piece: the trace, the text, then the calls. */
async function* answerAtOnce(events: AsyncIterable<BackendEvent>, answered: Answered): AsyncGenerator<Step> {
  const { id } = answered;
  let text = "";
  let thinking = "";
  const calls: string[] = [];
  for await (const event of events) {
    if (event.type === "done") {
      if (answered.thinking && thinking !== "") yield frame(id, { type: "thinking", delta: thinking });
      if (text !== "") yield frame(id, { type: "text", delta: text });
      yield* calls;
      yield terminal(event, answered);
      return;
    }
    if (event.type === "text") text += event.text;
    else if (event.type === "thinking") thinking += event.text;
    else if (event.type === "text_was_thinking") {
      thinking += text;
      text = "";
    } else calls.push(toolUseFrame(id, event));
    yield "";
  }
}

function toolUseFrame(id: string, { toolCallId, name, input }: ToolUse): string {
  return frame(id, { type: "tool_use", tool_call_id: toolCallId, name, input });
}

function frame(id: string, block: V2Frame["block"]): string {
  const whole: V2Frame = { id, type: "frame", block };
  return `${JSON.stringify(whole)}\n`;
}

function terminal(
  { reason, usage, toolChoiceUnsatisfied }: Extract<BackendEvent, { type: "done" }>,
  { id, backend }: Answered,
): Step {
  const done: V2DoneFrame = {
    id,
    type: "done",
    usage: { input_tokens: usage.promptTokens, output_tokens: usage.completionTokens },
    stop_reason: STOP_REASONS[reason],
    backend: backend.name,
    ...(toolChoiceUnsatisfied ? { tool_choice_unsatisfied: true } : {}),
  };
  return { frame: `${JSON.stringify(done)}\n`, stopReason: done.stop_reason, usage };
}
