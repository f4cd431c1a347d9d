/** The daemon's state in the page header, and the prompt for an API key. */
import { setKey } from "./api.js";
import { announce, byId, element } from "./dom.js";

const TEXTS = {
  unreachable: "no daemon",
  no_server: "no server",
  no_key: "key needed",
  loading_model: "loading",
};

/** Shows the daemon's state. */
export class StatusLine {
  #state = byId("state", HTMLElement);
  #progress = byId("load-progress", HTMLElement);
  #keyForm = byId("key-form", HTMLFormElement);
  #said = "";

  constructor() {
    this.#keyForm.addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId("key", HTMLInputElement);
      setKey(field.value);
      field.value = "";
      this.#keyForm.hidden = true;
    });
  }

  /** @param {import("./live.js").Line} line */
  take(line) {
    if (line.type === "activity") return;
    if (line.type !== "event") {
      this.#keyForm.hidden = line.type !== "no_key";
      return this.#show(line.type, "");
    }
    const { event } = line;
    if (event.status === "capabilities" || event.status === "log_stopped") return;
    this.#keyForm.hidden = true;
    this.#show(event.status, phaseOf(event));
    this.#load(event);
  }

  /**
   * @param {string} state
   * @param {string} phase
   */
  #show(state, phase) {
    const text = TEXTS[/** @type {keyof typeof TEXTS} */ (state)] ?? state;
    this.#state.dataset.state = state;
    this.#state.textContent = phase === "" ? text : `${text}: ${phase}`;
    if (text !== this.#said) announce(`The daemon is ${text}`);
    this.#said = text;
    if (state !== "loading_model" && state !== "restarting") this.#progress.replaceChildren();
  }

  /** @param {import("./live.js").AdminEvent} event */
  #load({ phase, downloadedBytes, totalBytes }) {
    if (phase !== "download") return this.#progress.replaceChildren();
    const whole = typeof totalBytes === "number" && totalBytes > 0;
    const bar = element("progress", {
      "aria-label": "Download",
      ...(whole ? { max: totalBytes, value: downloadedBytes } : {}),
    });
    this.#progress.replaceChildren(bar);
  }
}

/** @param {import("./live.js").AdminEvent} event */
function phaseOf({ phase, downloadedBytes, totalBytes }) {
  if (phase !== "download") return phase?.replaceAll("_", " ") ?? "";
  const done = `${Math.round(downloadedBytes / 1e6)} MB`;
  return totalBytes === null ? `download ${done}` : `download ${done} of ${Math.round(totalBytes / 1e6)} MB`;
}
