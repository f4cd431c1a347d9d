/**
 * A text that grows, shown as Markdown. What is finished is rendered once; only the last block is rendered again as it
 * grows, and no more often than leaves the page most of its time, so that an answer may have any length.
 */
import { element } from "./dom.js";
import { renderMarkdown } from "./markdown.js";

/** A last block that is longer, in UTF-16 units, is shown as plain text until it is finished. */
const LIVE_MARKDOWN = 4000;
/** A block that is longer stays plain text: Markdown of that size takes too long. */
const MOST_MARKDOWN = 64 * 1024;
/** Finished blocks are rendered together up to about so much. */
const GROUP = 8 * 1024;
/** Milliseconds between two renderings: at least this, and so many times as long as one takes. */
const LEAST_PAUSE_MS = 60;
const PAUSE_FACTOR = 4;

/** Shows a text in an element. */
export class StreamingText {
  #host;
  #tail = element("div", { class: "block" });
  /** The text of the last block, from where nothing is finished. */
  #open = "";
  /** Up to where `#open` was looked through for the end of a block; always the start of a line. */
  #scanned = 0;
  /** What ends the code block that a line is in. */
  #fence = "";
  #blank = false;
  /** How much of `#open` the plain text node holds; 0: the tail is Markdown. */
  #plain = 0;
  #timer = /** @type {number | undefined} */ (undefined);

  /** @param {HTMLElement} host Where it is shown. */
  constructor(host) {
    this.#host = host;
    host.append(this.#tail);
  }

  /** @param {string} text What comes next. */
  append(text) {
    this.#open += text;
    this.#timer ??= setTimeout(() => this.#update(), 0);
  }

  /** Nothing more comes. */
  finish() {
    clearTimeout(this.#timer);
    this.#closeFinished();
    if (this.#open !== "") this.#close(this.#open);
    this.#open = "";
    this.#tail.remove();
  }

  #update() {
    const start = performance.now();
    this.#closeFinished();
    this.#showTail();
    // Layout is part of what it costs.
    void this.#host.offsetHeight;
    const pause = Math.max(LEAST_PAUSE_MS, (performance.now() - start) * PAUSE_FACTOR);
    const shown = this.#open.length;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#open.length !== shown) this.#update();
    }, pause);
  }

  /** A block ends at a blank line outside of code, where the next line is not indented. */
  #closeFinished() {
    let closed = 0;
    let cut = 0;
    for (;;) {
      const end = this.#open.indexOf("\n", this.#scanned);
      if (end === -1) break;
      const line = this.#open.slice(this.#scanned, end);
      if (this.#blank && this.#fence === "" && /^\S/.test(line)) {
        // Before it grows too large, also where this block alone is.
        if (cut > closed && this.#scanned - closed > GROUP) {
          this.#close(this.#open.slice(closed, cut));
          closed = cut;
        }
        cut = this.#scanned;
      }
      this.#blank = line.trim() === "";
      const fence = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
      if (this.#fence === "") this.#fence = fence ?? "";
      else if (fence?.startsWith(this.#fence) && line.trim() === fence) this.#fence = "";
      this.#scanned = end + 1;
    }
    if (cut === 0) return;
    this.#close(this.#open.slice(closed, cut));
    this.#open = this.#open.slice(cut);
    this.#scanned -= cut;
    this.#plain = 0;
    this.#tail.replaceChildren();
    this.#tail.classList.remove("plain");
  }

  /** @param {string} text Markdown that is finished. */
  #close(text) {
    const block = element("div", { class: "block" });
    if (text.length > MOST_MARKDOWN) {
      block.classList.add("plain");
      block.textContent = text;
    } else {
      block.append(renderMarkdown(text));
    }
    this.#tail.before(block);
  }

  #showTail() {
    if (this.#open.length <= LIVE_MARKDOWN) {
      this.#tail.replaceChildren(renderMarkdown(this.#open));
      return;
    }
    if (this.#plain === 0) {
      this.#tail.replaceChildren(document.createTextNode(""));
      this.#tail.classList.add("plain");
    }
    const node = this.#tail.firstChild;
    if (node instanceof Text) node.appendData(this.#open.slice(this.#plain));
    this.#plain = this.#open.length;
  }
}
