/** Request settings, stored in this browser and sent only if set. */
import { byId, element } from "./dom.js";

const KEPT = "inferd-settings";
const NUMBERS = [
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "presence_penalty",
  "frequency_penalty",
  "repeat_penalty",
  "seed",
  "max_tokens",
];

/** The settings form. */
export class Settings {
  #form = byId("settings-form", HTMLFormElement);
  #model = byId("model", HTMLSelectElement);
  #tools = byId("tools", HTMLTextAreaElement);
  #toolsError = byId("tools-error", HTMLElement);

  constructor() {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    for (const field of this.#fields()) {
      if (!(field.name in kept)) continue;
      if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = kept[field.name] === true;
      else field.value = kept[field.name];
    }
    this.#form.addEventListener("input", () => this.#keep());
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    byId("settings-reset", HTMLButtonElement).addEventListener("click", () => {
      this.#form.reset();
      this.#keep();
    });
  }

  /** @param {readonly import("./models.js").Capabilities[]} models Models that can chat. */
  offer(models) {
    const chosen = this.#model.value;
    const names = models.map(({ model, backend }) => model ?? backend);
    this.#model.replaceChildren(
      element("option", { value: "" }, names[0] === undefined ? "Default" : `Default (${names[0]})`),
      ...[...new Set(names)].map((name) => element("option", { value: name }, name)),
    );
    this.#model.value = names.includes(chosen) ? chosen : "";
  }

  /** The selected model; `""`: the first. */
  get model() {
    return this.#model.value;
  }

  /** The system prompt. */
  get system() {
    return byId("system", HTMLTextAreaElement).value.trim();
  }

  /** @returns {Record<string, unknown> | undefined} `undefined` if the tools are invalid, which the form reports. */
  read() {
    const fields = /** @type {Record<string, unknown>} */ ({});
    if (this.model !== "") fields.model = this.model;
    for (const name of NUMBERS) {
      const { value, valueAsNumber } = byId(name, HTMLInputElement);
      if (value !== "" && !Number.isNaN(valueAsNumber)) fields[name] = valueAsNumber;
    }
    const stop = byId("stop-strings", HTMLTextAreaElement).value.split("\n").filter((line) => line !== "");
    if (stop.length > 0) fields.stop = stop;
    if (byId("thinking", HTMLInputElement).checked) fields.reasoning_effort = "medium";
    this.#toolsError.textContent = "";
    this.#tools.removeAttribute("aria-invalid");
    if (this.#tools.value.trim() === "") return fields;
    try {
      const tools = JSON.parse(this.#tools.value);
      if (!Array.isArray(tools)) throw new SyntaxError("a list is expected");
      // People usually paste a bare function.
      fields.tools = tools.map((tool) => "function" in tool ? tool : { type: "function", function: tool });
      return fields;
    } catch (error) {
      this.#toolsError.textContent = `The tools are not a JSON array: ${
        error instanceof Error ? error.message : error
      }`;
      this.#tools.setAttribute("aria-invalid", "true");
      byId("settings", HTMLDetailsElement).open = true;
      this.#tools.focus();
      return undefined;
    }
  }

  #fields() {
    return [...this.#form.elements].filter((field) =>
      field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement
    );
  }

  #keep() {
    const kept = this.#fields().map((field) => [
      field.name,
      field instanceof HTMLInputElement && field.type === "checkbox" ? field.checked : field.value,
    ]);
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(kept)));
  }
}
