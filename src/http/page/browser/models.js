/** The models, their capabilities, and downloading one. */
import { ask, linesOf, readError, RequestError } from "./api.js";
import { announce, byId, element } from "./dom.js";

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
  #onChange;
  #byBackend = /** @type {Map<string, Capabilities>} */ (new Map());

  /** @param {(models: readonly Capabilities[]) => void} onChange Called with the models that can chat. */
  constructor(onChange) {
    this.#onChange = onChange;
    const form = byId("pull-form", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = byId("pull-name", HTMLInputElement).value.trim();
      if (name !== "") this.#pull(name);
    });
  }

  /** @param {import("./live.js").Line} line */
  take(line) {
    if (line.type === "unreachable" || line.type === "no_server") {
      this.#byBackend.clear();
      return this.#show();
    }
    if (line.type !== "event" || line.event.status !== "capabilities") return;
    const { status: _, ...capabilities } = line.event;
    this.#byBackend.set(capabilities.backend, /** @type {Capabilities} */ (/** @type {unknown} */ (capabilities)));
    this.#show();
  }

  #show() {
    const models = [...this.#byBackend.values()];
    this.#none.hidden = models.length > 0;
    this.#list.replaceChildren(...models.map(entry));
    this.#onChange(models.filter(({ v2 }) => v2));
  }

  /** @param {string} name */
  async #pull(name) {
    const note = element("span", {}, "starting");
    const bar = element("progress", { "aria-label": `Download of ${name}` });
    byId("pulls", HTMLElement).prepend(element("li", {}, element("strong", {}, name), " ", bar, " ", note));
    /** @param {string} text */
    const end = (text) => {
      bar.remove();
      note.textContent = text;
      announce(`${name}: ${text}`);
    };
    try {
      for await (const line of linesOf(await ask("/api/pull", { body: { model: name } }))) {
        const progress = JSON.parse(line);
        const error = readError(progress);
        if (error !== undefined) return end(error.message);
        note.textContent = progress.status ?? "";
        if (typeof progress.total === "number" && progress.total > 0) {
          bar.max = progress.total;
          bar.value = progress.completed ?? 0;
          note.textContent = `${progress.status} ${Math.floor((progress.completed ?? 0) / progress.total * 100)} %`;
        }
      }
      end("done");
    } catch (error) {
      end(error instanceof RequestError ? error.message : String(error));
    }
  }
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
