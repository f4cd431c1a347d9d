/** The models, their capabilities, the model store, and downloads into it. */
import { ask, linesOf, readError, RequestError } from "./api.js";
import { announce, button, byId, element } from "./dom.js";

/** @typedef {{ backend: string, model?: string, state?: string, vision: boolean, audio: boolean, tools: boolean,
 *   thinking: boolean, v2: boolean, embed: boolean, rerank?: boolean, accelerator: string, gpuLayers: number,
 *   contextTokens?: number, parallel?: number, templateError?: { message: string } }} Capabilities */

const ABILITIES = /** @type {const} */ ([
  ["v2", "chat"],
  ["tools", "tools"],
  ["thinking", "thinking"],
  ["vision", "images"],
  ["audio", "audio"],
  ["embed", "embeddings"],
  ["rerank", "rerank"],
]);

/** The models tab. */
export class ModelsView {
  #list = byId("models", HTMLElement);
  #none = byId("no-models", HTMLElement);
  #store = byId("store", HTMLElement);
  #name = byId("pull-name", HTMLInputElement);
  #onChange;
  /** Whether the store is known since the server was last away. */
  #isKnown = false;
  #byBackend = /** @type {Map<string, Capabilities>} */ (new Map());

  /** @param {(models: readonly Capabilities[]) => void} onChange Called with the models that can chat. */
  constructor(onChange) {
    this.#onChange = onChange;
    const form = byId("pull-form", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim();
      if (name !== "") this.#pull(name);
    });
  }

  /** @param {import("./live.js").Line} line */
  take(line) {
    if (line.type === "no_server" || line.type === "no_key") this.#isKnown = false;
    else if (!this.#isKnown) this.#look();
    if (line.type === "unreachable" || line.type === "no_server") {
      this.#byBackend.clear();
      return this.#show();
    }
    if (line.type === "activity") this.#replace(line.backends);
    if (line.type !== "event" || line.event.status !== "capabilities") return;
    const { status: _, ...capabilities } = line.event;
    this.#byBackend.set(capabilities.backend, /** @type {Capabilities} */ (/** @type {unknown} */ (capabilities)));
    this.#show();
  }

  /** @param {readonly Capabilities[]} backends All that there are; none if they are not known. */
  #replace(backends) {
    if (backends.length === 0 || JSON.stringify(backends) === JSON.stringify([...this.#byBackend.values()])) return;
    this.#byBackend = new Map(backends.map((one) => [one.backend, one]));
    this.#show();
  }

  #show() {
    const models = [...this.#byBackend.values()];
    this.#none.hidden = models.length > 0;
    this.#list.replaceChildren(...models.map(entry));
    this.#onChange(models.filter(({ v2 }) => v2));
  }

  /** Show what is in the store, if clients may download into it. */
  async #look() {
    this.#isKnown = true;
    try {
      const { pull, models } = await (await ask("/inferd/store")).json();
      this.#store.hidden = !pull;
      byId("none-stored", HTMLElement).hidden = models.length > 0;
      byId("stored", HTMLElement).replaceChildren(...models.map(storedEntry));
    } catch {
      // The next line of the server's asks again.
      this.#isKnown = false;
    }
  }

  /** @param {string} name */
  async #pull(name) {
    const note = element("span", {}, "starting");
    const bar = element("progress", { "aria-label": `Download of ${name}` });
    const stop = new AbortController();
    const cancel = button("Cancel", () => stop.abort(), { "aria-label": `Cancel the download of ${name}` });
    byId("pulls", HTMLElement).prepend(
      element("li", {}, element("strong", {}, name), " ", bar, " ", note, " ", cancel),
    );
    announce(`Downloading ${name}`);
    /** @param {string} text */
    const end = (text) => {
      const hadFocus = document.activeElement === cancel;
      bar.remove();
      cancel.remove();
      if (hadFocus) this.#name.focus();
      note.textContent = text;
      announce(`${name}: ${text}`);
    };
    try {
      let model = name;
      for await (const line of linesOf(await ask("/api/pull", { body: { model: name }, signal: stop.signal }))) {
        const progress = JSON.parse(line);
        const error = readError(progress);
        if (error !== undefined) return end(error.message);
        model = progress.model ?? model;
        note.textContent = progress.status ?? "";
        if (typeof progress.total === "number" && progress.total > 0) {
          bar.max = progress.total;
          bar.value = progress.completed ?? 0;
          note.textContent = `${progress.status} ${Math.floor((progress.completed ?? 0) / progress.total * 100)} %`;
        }
      }
      end(`done, as ${model}`);
      this.#look();
    } catch (error) {
      if (stop.signal.aborted) return end("cancelled; the next download resumes it");
      end(error instanceof RequestError ? error.message : String(error));
    }
  }
}

/** @param {{ name: string, sizeBytes: number }} model */
function storedEntry({ name, sizeBytes }) {
  return element("li", {}, element("strong", {}, name), ` ${(sizeBytes / 1e9).toFixed(2)} GB`);
}

/** @param {Capabilities} model */
function entry(model) {
  const facts = [
    model.backend,
    model.accelerator === "none" ? "" : model.accelerator,
    model.gpuLayers > 0 ? `${model.gpuLayers} layers on the GPU` : "",
    model.contextTokens ? `${model.contextTokens} tokens` : "",
    model.parallel ? `${model.parallel} at a time` : "",
  ].filter((fact) => fact !== "");
  return element(
    "li",
    {},
    element("strong", {}, model.model ?? model.backend),
    " ",
    element("span", { class: "pill", "data-state": model.state ?? "ready" }, model.state ?? "ready"),
    element("p", {}, facts.join(" · ")),
    element(
      "p",
      {},
      ...ABILITIES.filter(([field]) => model[field]).map(([, label]) => element("span", { class: "tag" }, label)),
    ),
    model.templateError === undefined
      ? undefined
      : element("p", { class: "error" }, `Chat template: ${model.templateError.message}`),
  );
}
