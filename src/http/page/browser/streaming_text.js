/**
 * Streaming Markdown. Finished blocks are rendered once; only the last block is rendered repeatedly, throttled to leave
 * the page most of the CPU time, so that answers can be of any length.
 */
import { element } from "./dom.js";
import { renderMarkdown } from "./markdown.js";

/** A longer unfinished block, in UTF-16 units, is shown as plain text. */
const LIVE_MARKDOWN = 4000;
/** A longer block stays plain text, because rendering takes too long. */
const MOST_MARKDOWN = 64 * 1024;
/** Finished blocks are rendered together up to about this size. */
const GROUP = 8 * 1024;
/** Pause between renderings: at least this many milliseconds, and this many times the duration of the last one. */
const LEAST_PAUSE_MS = 60;
const PAUSE_FACTOR = 4;

/** Renders streaming text into an element. */
export class StreamingText {
  #host;
  #tail = element("div", { class: "block" });
  /** Text of the unfinished last block. */
  #open = "";
  /** How far `#open` was scanned for the end of a block; always the start of a line. */
  #scanned = 0;
  /** Closing fence of the current code block. */
  #fence = "";
  #blank = false;
  /** How much of `#open` is in the plain text node; 0: it is rendered as Markdown. */
  #plain = 0;
  #timer = /** @type {number | undefined} */ (undefined);

  /** @param {HTMLElement} host The container. */
  constructor(host) {
    this.#host = host;
    host.append(this.#tail);
  }

  /** @param {string} text Text to append. */
  append(text) {
    this.#open += text;
    this.#timer ??= setTimeout(() => this.#update(), 0);
  }

  /** End of the text. */
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
    // Include layout in the measured time.
    void this.#host.offsetHeight;
    const pause = Math.max(LEAST_PAUSE_MS, (performance.now() - start) * PAUSE_FACTOR);
    const shown = this.#open.length;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#open.length !== shown) this.#update();
    }, pause);
  }

  /** A block ends at a blank line outside of code if the next line is not indented. */
  #closeFinished() {
    let closed = 0;
    let cut = 0;
    for (;;) {
      const end = this.#open.indexOf("\n", this.#scanned);
      if (end === -1) break;
      const line = this.#open.slice(this.#scanned, end);
      if (this.#blank && this.#fence === "" && /^\S/.test(line)) {
        // Flush before the group gets too large, even if it is a single block.
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

  /** @param {string} text Finished Markdown. */
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
