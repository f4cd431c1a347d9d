/** A message in the conversation: text, collapsed thinking, tool calls and actions. */
import { button, element } from "./dom.js";
import { StreamingText } from "./streaming_text.js";

/**
 * @typedef {import("./completion.js").Message} Message
 * @typedef {{ onEdit?: () => void, onRetry?: () => void, onResult?: (callId: string, text: string) => void }} Actions
 */

const NAMES = { user: "You", assistant: "Model", tool: "Tool result" };

/** Shows a message, possibly still streaming. */
export class MessageView {
  element;
  #text;
  #textHost;
  #thinking = /** @type {StreamingText | undefined} */ (undefined);
  #thinkingBox = /** @type {HTMLDetailsElement | undefined} */ (undefined);
  #calls = element("div", { class: "calls" });
  #foot = element("footer");

  /** @param {Message["role"]} role The message's role. */
  constructor(role) {
    this.#textHost = element("div", { class: role === "assistant" ? "text" : "text plain" });
    this.#text = role === "assistant" ? new StreamingText(this.#textHost) : undefined;
    this.element = element(
      "article",
      { class: `message ${role}`, "aria-label": NAMES[role] },
      element("header", {}, NAMES[role]),
      this.#textHost,
      this.#calls,
      this.#foot,
    );
  }

  /**
   * Show a complete message.
   *
   * @param {Message} message
   * @param {Actions} actions Those that are available.
   */
  static of(message, actions) {
    const view = new MessageView(message.role);
    if (message.role === "user") view.#showImages(message.images);
    if (message.role === "assistant") {
      if (message.thinking !== "") view.think(message.thinking);
      for (const call of message.calls) view.call(call);
    }
    view.append(message.text);
    view.finish(message, actions);
    return view;
  }

  /** @param {string} text Text to append. */
  append(text) {
    if (this.#text === undefined) this.#textHost.append(text);
    else if (text !== "") this.#text.append(text);
  }

  /** @param {string} text Thinking to append. */
  think(text) {
    if (this.#thinking === undefined) {
      const host = element("div", { class: "text" });
      this.#thinkingBox = element("details", { class: "thinking" }, element("summary", {}, "Thinking"), host);
      this.#textHost.before(this.#thinkingBox);
      this.#thinking = new StreamingText(host);
    }
    this.#thinking.append(text);
  }

  /** @param {import("./completion.js").ToolCall} call A tool call of the model. */
  call({ id, name, arguments: input }) {
    this.#calls.append(
      element(
        "section",
        { class: "call", "aria-label": `Call of ${name}`, "data-call": id },
        element("strong", {}, name),
        element("pre", {}, element("code", {}, indented(input))),
      ),
    );
  }

  /**
   * Mark the message as complete. May be repeated when the available actions change.
   *
   * @param {Message} message The stored message.
   * @param {Actions} actions Available actions.
   */
  finish(message, { onEdit, onRetry, onResult }) {
    this.#text?.finish();
    this.#thinking?.finish();
    for (const form of this.#calls.querySelectorAll("form")) form.remove();
    const foot = [];
    if (message.role === "assistant") {
      if (message.error !== undefined) foot.push(element("p", { class: "error", role: "alert" }, message.error));
      const note = [message.stopped ? "stopped" : "", message.figures ?? ""].filter((part) => part !== "").join(" · ");
      if (note !== "") foot.push(element("small", {}, note));
      if (onResult !== undefined) { for (const { id, name } of message.calls) this.#askResult(id, name, onResult); }
    }
    // Exists only in secure contexts: localhost or HTTPS.
    if (message.text !== "" && navigator.clipboard !== undefined) {
      foot.push(button("Copy", () => navigator.clipboard.writeText(message.text)));
    }
    if (onEdit !== undefined) foot.push(button("Edit", onEdit));
    if (onRetry !== undefined) foot.push(button("Retry", onRetry));
    this.#foot.replaceChildren(...foot);
  }

  /** @param {readonly string[]} images */
  #showImages(images) {
    for (const [index, src] of images.entries()) {
      this.#textHost.before(element("img", { src, alt: `Image ${index + 1}` }));
    }
  }

  /**
   * @param {string} id
   * @param {string} name
   * @param {(callId: string, text: string) => void} onResult
   */
  #askResult(id, name, onResult) {
    const field = element("textarea", {
      rows: 2,
      "aria-label": `Result of ${name}`,
      placeholder: "What the tool returns",
    });
    const form = element("form", {}, field, element("button", { type: "submit" }, "Send result"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      form.remove();
      onResult(id, field.value);
    });
    this.#calls.querySelector(`[data-call="${CSS.escape(id)}"]`)?.append(form);
  }
}

/** @param {string} json */
function indented(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
