/**
 * The prefix of the conversation's next prompt, as far as it does not depend on the next message. Templates may render
 * an answer differently from how it was generated, so the finished slot does not hold this prefix.
 */
import { callId, callsIn } from "../../../inference/call_ids.ts";
import type { ChatMessage, ContentBlock, Conversation } from "../../../inference/request.ts";
import type { Work } from "../../../work/work.ts";
import type { Said } from "../../answer/answer.ts";
import type { Chat } from "../../chat/chat.ts";
import { commonPrefix } from "../slots.ts";

/** Two replies without a common prefix. */
const REPLIES = ["0", "A"] as const;

/**
 * Tokens that the next prompt will begin with.
 *
 * @throws As {@linkcode Chat.prompt}.
 */
export function* nextTurn(
  chat: Pick<Chat, "prompt">,
  conversation: Conversation,
  said: Said,
): Work<Int32Array> {
  const { generationPrompt, ...others } = conversation;
  const answered = withAnswer(conversation.messages, said, generationPrompt);
  const [one, other] = REPLIES.map((reply) => ({ ...others, messages: [...answered, replyTo(answered, reply)] }));
  const { tokens } = yield* chat.prompt(one as Conversation);
  const { tokens: same } = yield* chat.prompt(other as Conversation);
  return tokens.slice(0, commonPrefix(tokens, same));
}

/** A partial assistant message is continued by the answer, unless the prompt opened a turn after it. */
function withAnswer(
  messages: readonly ChatMessage[],
  { thinking, text, calls }: Said,
  opened: boolean | undefined,
): ChatMessage[] {
  const last = messages.at(-1);
  const begun = last?.role === "assistant" && !opened ? last : undefined;
  const blocks: ContentBlock[] = typeof begun?.content === "string" ? textBlocks(begun.content) : [
    ...begun?.content ?? [],
  ];
  const lastBlock = blocks.at(-1);
  const first = callsIn(messages).length;
  return [...begun === undefined ? messages : messages.slice(0, -1), {
    role: "assistant",
    content: [
      ...(thinking === "" ? [] : [{ type: "thinking", text: thinking } as const]),
      ...lastBlock?.type === "text" ? [...blocks.slice(0, -1), ...textBlocks(lastBlock.text + text)] : [
        ...blocks,
        ...textBlocks(text),
      ],
      ...calls.map((call, index) => ({ type: "tool_use", toolCallId: callId(first + index + 1), ...call } as const)),
    ],
  }];
}

function textBlocks(text: string): ContentBlock[] {
  return text === "" ? [] : [{ type: "text", text }];
}

/** The reply to tool calls is their results. */
function replyTo(messages: readonly ChatMessage[], text: string): ChatMessage {
  const { content = [] } = messages.at(-1) ?? {};
  const results = typeof content === "string"
    ? []
    : content.flatMap((block): ContentBlock[] =>
      block.type === "tool_use"
        ? [{ type: "tool_result", toolCallId: block.toolCallId, content: textBlocks(text) }]
        : []
    );
  return { role: "user", content: results.length > 0 ? results : text };
}
