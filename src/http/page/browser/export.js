/** Exports a conversation as a file. */
import { element } from "./dom.js";

/** @typedef {import("./conversations.js").Conversation} Conversation */

/**
 * @param {Conversation} conversation
 * @param {"json" | "md"} format
 */
export function download(conversation, format) {
  const text = format === "json" ? JSON.stringify(conversation, null, 2) : toMarkdown(conversation);
  const url = URL.createObjectURL(new Blob([text], { type: format === "json" ? "application/json" : "text/markdown" }));
  const name = conversation.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "conversation";
  element("a", { href: url, download: `${name}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** @param {Conversation} conversation */
function toMarkdown({ title, messages }) {
  const parts = messages.map((message) => {
    if (message.role === "user") return `## You\n\n${message.text}`;
    if (message.role === "tool") return `## Tool result\n\n${message.text}`;
    const thinking = message.thinking === "" ? "" : `> ${message.thinking.trim().replaceAll("\n", "\n> ")}\n\n`;
    const calls = message.calls.map(({ name, arguments: input }) => `\n\n\`${name}(${input})\``).join("");
    return `## Model\n\n${thinking}${message.text}${calls}`;
  });
  return `# ${title}\n\n${parts.join("\n\n")}\n`;
}
