/** The open conversation: sending, streaming the answer, stopping, editing and retrying. */
import { RequestError } from "./api.js";
import { complete } from "./completion.js";
import { Composer } from "./composer.js";
import { Conversations } from "./conversations.js";
import { announce, byId } from "./dom.js";
import { keepEndInSight } from "./end_in_sight.js";
import { download } from "./export.js";
import { HistoryView } from "./history.js";
import { MessageView } from "./message.js";
import { Settings } from "./settings.js";

/**
 * @typedef {import("./completion.js").Message} Message
 * @typedef {import("./completion.js").AssistantMessage} AssistantMessage
 * @typedef {import("./conversations.js").Conversation} Conversation
 */

const TITLE_LENGTH = 60;

/** The chat tab. */
export class ChatView {
  #log = byId("messages", HTMLElement);
  #toEnd = keepEndInSight(this.#log);
  #settings = new Settings();
  #kept = new Conversations();
  #history = new HistoryView({
    onOpen: (conversation) => this.#open(conversation),
    onRemove: (id) => this.#remove(id),
  });
  #composer = new Composer({ onSend: (text, images) => this.#send(text, images), onStop: () => this.#stop() });
  #conversation = empty();
  /** Messages already rendered. */
  #views = /** @type {WeakMap<Message, MessageView>} */ (new WeakMap());
  #answering = /** @type {AbortController | undefined} */ (undefined);
  #models = /** @type {readonly import("./models.js").Capabilities[]} */ ([]);

  constructor() {
    // On a phone the space belongs to the conversation.
    byId("history-box", HTMLDetailsElement).open = matchMedia("(min-width: 44rem)").matches;
    byId("new-chat", HTMLButtonElement).addEventListener("click", () => {
      this.#open(empty());
      this.#composer.write("", []);
    });
    byId("export-md", HTMLButtonElement).addEventListener("click", () => download(this.#conversation, "md"));
    byId("export-json", HTMLButtonElement).addEventListener("click", () => download(this.#conversation, "json"));
    byId("model", HTMLSelectElement).addEventListener("change", () => this.#followModel());
    this.#showHistory();
    this.#show();
  }

  /** @param {readonly import("./models.js").Capabilities[]} models Models that can chat. */
  offer(models) {
    this.#models = models;
    this.#settings.offer(models);
    this.#followModel();
  }

  #followModel() {
    const name = this.#settings.model;
    const model = this.#models.find((one) => name === "" || (one.model ?? one.backend) === name);
    this.#composer.takesImages = model?.vision ?? false;
    byId("thinking-row", HTMLElement).hidden = !(model?.thinking ?? false);
    byId("tools-row", HTMLElement).hidden = !(model?.tools ?? false);
  }

  /**
   * @param {string} text
   * @param {string[]} images
   */
  #send(text, images) {
    const { messages } = this.#conversation;
    if (messages.length === 0) this.#conversation.title = titleOf(text);
    messages.push({ role: "user", text, images });
    this.#toEnd();
    this.#answer();
  }

  #stop() {
    this.#answering?.abort();
  }

  /** Generate the answer to the last message. */
  async #answer() {
    const fields = this.#settings.read();
    this.#show();
    if (fields === undefined || this.#answering !== undefined) return;
    const conversation = this.#conversation;
    const answering = this.#answering = new AbortController();
    const view = new MessageView("assistant");
    const answer = /** @type {AssistantMessage} */ ({ role: "assistant", text: "", thinking: "", calls: [] });
    this.#composer.busy = true;
    this.#log.setAttribute("aria-busy", "true");
    this.#log.append(view.element);
    announce("The model is answering");
    await this.#keep(conversation);
    try {
      await this.#receive(answer, view, { conversation, fields, signal: answering.signal });
    } catch (error) {
      if (answering.signal.aborted) answer.stopped = true;
      else answer.error = explain(error);
    }
    conversation.messages.push(answer);
    this.#views.set(answer, view);
    this.#answering = undefined;
    this.#composer.busy = false;
    this.#log.setAttribute("aria-busy", "false");
    announce(answer.error ?? (answer.stopped ? "The answer was stopped" : "The answer is complete"));
    await this.#keep(conversation);
    if (this.#conversation !== conversation) return;
    view.finish(answer, this.#actions(conversation.messages.length - 1));
  }

  /**
   * @param {AssistantMessage} answer
   * @param {MessageView} view
   * @param {{ conversation: Conversation, fields: Record<string, unknown>, signal: AbortSignal }} request
   */
  async #receive(answer, view, { conversation, fields, signal }) {
    const start = performance.now();
    let first = /** @type {number | undefined} */ (undefined);
    const texts = /** @type {string[]} */ ([]);
    const thoughts = /** @type {string[]} */ ([]);
    try {
      for await (const piece of complete(conversation.messages, { system: this.#settings.system, fields }, signal)) {
        if (piece.type === "usage") {
          answer.figures = figures(piece, { start, first: first ?? performance.now() });
          continue;
        }
        first ??= performance.now();
        if (piece.type === "text") texts.push(piece.text);
        if (piece.type === "thinking") thoughts.push(piece.text);
        if (piece.type === "call") answer.calls.push(piece.call);
        if (this.#conversation === conversation) show(view, piece);
      }
    } finally {
      answer.text = texts.join("");
      answer.thinking = thoughts.join("");
    }
  }

  /** @param {number} index Index of the message. @returns {import("./message.js").Actions} */
  #actions(index) {
    const { messages } = this.#conversation;
    const message = messages[index];
    if (message?.role === "user") return { onEdit: () => this.#edit(index) };
    if (message?.role !== "assistant") return {};
    const onRetry = () => {
      if (this.#answering !== undefined) return;
      messages.length = index;
      this.#answer();
    };
    const isLast = index === messages.length - 1;
    if (message.calls.length === 0 || !isLast) return { onRetry };
    const results = /** @type {Map<string, string>} */ (new Map());
    return {
      onRetry,
      onResult: (callId, text) => {
        results.set(callId, text);
        if (results.size < message.calls.length) return;
        for (const { id } of message.calls) messages.push({ role: "tool", callId: id, text: results.get(id) ?? "" });
        this.#answer();
      },
    };
  }

  /** @param {number} index Index of the message to edit; later ones are dropped. */
  #edit(index) {
    const { messages } = this.#conversation;
    const message = messages[index];
    if (message?.role !== "user" || this.#answering !== undefined) return;
    messages.length = index;
    this.#show();
    this.#composer.write(message.text, message.images);
  }

  /** @param {Conversation} conversation */
  #open(conversation) {
    this.#stop();
    this.#conversation = conversation;
    this.#toEnd();
    this.#show();
    this.#showHistory();
  }

  /** @param {string} id */
  async #remove(id) {
    await this.#kept.remove(id);
    if (this.#conversation.id === id) this.#open(empty());
    else await this.#showHistory();
    byId("new-chat", HTMLButtonElement).focus();
  }

  #show() {
    const { messages } = this.#conversation;
    this.#log.replaceChildren(...messages.map((message, index) => this.#viewOf(message, index).element));
    byId("empty-chat", HTMLElement).hidden = messages.length > 0;
  }

  /**
   * @param {Message} message
   * @param {number} index
   */
  #viewOf(message, index) {
    const actions = this.#actions(index);
    const known = this.#views.get(message);
    if (known === undefined) {
      const made = MessageView.of(message, actions);
      this.#views.set(message, made);
      return made;
    }
    known.finish(message, actions);
    return known;
  }

  async #showHistory() {
    this.#history.show(await this.#kept.list(), this.#conversation.id);
  }

  /** @param {Conversation} conversation */
  async #keep(conversation) {
    conversation.updatedAt = Date.now();
    await this.#kept.put(conversation);
    await this.#showHistory();
  }
}

/**
 * @param {MessageView} view
 * @param {import("./completion.js").Piece} piece
 */
function show(view, piece) {
  if (piece.type === "text") view.append(piece.text);
  if (piece.type === "thinking") view.think(piece.text);
  if (piece.type === "call") view.call(piece.call);
}

/** @returns {Conversation} */
function empty() {
  // `randomUUID` exists only in secure contexts, not on a page from another machine without HTTPS.
  const id = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
  return { id, title: "New chat", updatedAt: Date.now(), messages: [] };
}

/** @param {string} text */
function titleOf(text) {
  const line = text.trim().split("\n")[0] ?? "";
  return line === "" ? "Image" : line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH)}…` : line;
}

/**
 * @param {{ promptTokens: number, completionTokens: number }} usage
 * @param {{ start: number, first: number }} times
 */
function figures({ promptTokens, completionTokens }, { start, first }) {
  const seconds = (performance.now() - first) / 1000;
  // A few tokens may arrive in one piece, which would distort the speed.
  const isLong = completionTokens >= 10 && seconds > 0.02;
  const speed = isLong ? `${((completionTokens - 1) / seconds).toFixed(1)} tokens/s` : "";
  const parts = [`${promptTokens} + ${completionTokens} tokens`, `first after ${Math.round(first - start)} ms`, speed];
  return parts.filter((part) => part !== "").join(" · ");
}

/** @param {unknown} error */
function explain(error) {
  if (!(error instanceof RequestError)) return `The page failed: ${error instanceof Error ? error.message : error}`;
  return error.status === 429 ? `The queue is full, try again in a moment. (${error.message})` : error.message;
}
