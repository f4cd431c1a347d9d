/** The list of conversations next to the open one. */
import { button, byId, element } from "./dom.js";

/** @typedef {import("./conversations.js").Conversation} Conversation */

/** Lists the conversations. */
export class HistoryView {
  #list = byId("history", HTMLElement);
  #handlers;

  /** @param {{ onOpen: (conversation: Conversation) => void, onRemove: (id: string) => void }} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /**
   * @param {readonly Conversation[]} conversations All conversations.
   * @param {string} current Id of the open one.
   */
  show(conversations, current) {
    const { onOpen, onRemove } = this.#handlers;
    this.#list.replaceChildren(
      ...conversations.map((conversation) =>
        element(
          "li",
          {},
          button(conversation.title, () => onOpen(conversation), {
            class: "open",
            "aria-current": conversation.id === current ? "true" : undefined,
          }),
          button("×", () => onRemove(conversation.id), {
            "aria-label": `Delete ${conversation.title}`,
            class: "quiet",
          }),
        )
      ),
    );
  }
}
