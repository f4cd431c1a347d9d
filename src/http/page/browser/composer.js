/** The message input: Enter sends, Shift+Enter inserts a line break, Escape stops the answer. */
import { button, byId, element } from "./dom.js";

/** Largest accepted image, in bytes. */
const MOST_BYTES = 20 * 1024 * 1024;

/** The form below the conversation. */
export class Composer {
  #form = byId("composer", HTMLFormElement);
  #field = byId("prompt", HTMLTextAreaElement);
  #send = byId("send", HTMLButtonElement);
  #stop = byId("stop", HTMLButtonElement);
  #attach = byId("attach", HTMLInputElement);
  #attachLabel = byId("attach-label", HTMLElement);
  #thumbnails = byId("thumbnails", HTMLElement);
  #images = /** @type {string[]} */ ([]);
  #takesImages = false;

  /** @param {{ onSend: (text: string, images: string[]) => void, onStop: () => void }} handlers */
  constructor({ onSend, onStop }) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#field.value;
      if (this.#send.hidden || (text.trim() === "" && this.#images.length === 0)) return;
      const images = this.#images;
      this.write("", []);
      onSend(text, images);
    });
    this.#field.addEventListener("keydown", (event) => {
      // Enter also confirms a selection of an input method.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#field.addEventListener("input", () => this.#fit());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.#stop.hidden) onStop();
    });
    this.#stop.addEventListener("click", onStop);
    this.#attach.addEventListener("change", () => {
      this.#take(this.#attach.files);
      this.#attach.value = "";
    });
    this.#field.addEventListener("paste", (event) => this.#take(event.clipboardData?.files));
    this.#form.addEventListener("dragover", (event) => event.preventDefault());
    this.#form.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#take(event.dataTransfer?.files);
    });
  }

  /** @param {boolean} takes Whether the model accepts images. */
  set takesImages(takes) {
    this.#takesImages = takes;
    this.#attachLabel.hidden = !takes;
  }

  /** @param {boolean} busy Whether an answer is being generated. */
  set busy(busy) {
    const hadFocus = document.activeElement === this.#stop || document.activeElement === this.#send;
    this.#send.hidden = busy;
    this.#stop.hidden = !busy;
    if (hadFocus) this.#field.focus();
  }

  /**
   * Fill the form, to edit and send.
   *
   * @param {string} text
   * @param {readonly string[]} images
   */
  write(text, images) {
    this.#field.value = text;
    this.#images = [...images];
    this.#fit();
    this.#showImages();
    this.#field.focus();
  }

  /** @param {FileList | null | undefined} files */
  async #take(files) {
    if (!this.#takesImages) return;
    for (const file of files ?? []) {
      if (!file.type.startsWith("image/") || file.size > MOST_BYTES) continue;
      this.#images.push(await dataUrl(file));
    }
    this.#showImages();
  }

  #showImages() {
    this.#thumbnails.replaceChildren(
      ...this.#images.map((src, index) =>
        element(
          "span",
          {},
          element("img", { src, alt: `Image ${index + 1}` }),
          button("Remove", () => {
            this.#images.splice(index, 1);
            this.#showImages();
          }, { "aria-label": `Remove image ${index + 1}` }),
        )
      ),
    );
  }

  /** Grows with its text, up to the limit in the style sheet. */
  #fit() {
    this.#field.rows = Math.min(10, Math.max(2, this.#field.value.split("\n").length));
  }
}

/**
 * @param {Blob} file
 * @returns {Promise<string>}
 */
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
