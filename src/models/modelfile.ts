/** Converts Ollama's Modelfile to a backend of the configuration file. The caller resolves the files it names. */

/** The Modelfile is invalid; the message is for the operator. */
export class ModelfileError extends Error {
  override readonly name = "ModelfileError";
}

/** An instruction: keyword in upper case, and its value. */
export interface Instruction {
  readonly word: string;
  readonly value: string;
  /** One-based. */
  readonly line: number;
}

const WORDS: ReadonlySet<string> = new Set([
  "FROM",
  "PARAMETER",
  "SYSTEM",
  "TEMPLATE",
  "ADAPTER",
  "MESSAGE",
  "LICENSE",
  "REQUIRES",
]);

/**
 * @returns Its instructions, in order.
 * @throws {ModelfileError} If a line is not an instruction, or a quoted text is not closed.
 */
export function parseModelfile(text: string): readonly Instruction[] {
  const lines = text.split(/\r?\n/);
  const found: Instruction[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^\s*(#|$)/.test(line)) continue;
    const number = at + 1;
    const [, word = "", first = ""] = /^\s*(\S+)\s*(.*)$/.exec(line) ?? [];
    if (!WORDS.has(word.toUpperCase())) {
      throw new ModelfileError(
        `Line ${number}: unknown instruction ${JSON.stringify(word)}. Use one of ${[...WORDS].join(", ")}`,
      );
    }
    // Only these have a name before the quoted text.
    const quoted = /^(PARAMETER|MESSAGE)$/i.test(word) ? /^(\S+\s+)("""|")(.*)$/ : /^()("""|")(.*)$/;
    const [, name = "", quote, opened = ""] = quoted.exec(first) ?? [];
    let value = first.trim();
    if (quote !== undefined) {
      let body = opened;
      while (!body.includes(quote)) {
        if (++at >= lines.length) throw new ModelfileError(`Line ${number}: the text is not closed with ${quote}`);
        body += `\n${lines[at]}`;
      }
      value = name + body.slice(0, body.indexOf(quote));
    }
    found.push({ word: word.toUpperCase(), value, line: number });
  }
  return found;
}

/** Resolves the files named in a Modelfile. */
export interface ModelfilePlaces {
  /** Resolves the model of a `FROM`: a file, or a name in the store; undefined if not found. */
  model(from: string): { readonly path: string } | { readonly name: string } | undefined;
  /** Resolves a path relative to the Modelfile. */
  place(path: string): string;
}

export interface ModelfileBackend {
  /** A backend in the form of the configuration file. */
  readonly backend: Readonly<Record<string, unknown>>;
  /** Messages about what was not converted. */
  readonly left: readonly string[];
}

type Read = (text: string) => unknown;

const asNumber: Read = (text) => /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
const asBoolean: Read = (text) => ({ true: true, false: false, 1: true, 0: false })[text.toLowerCase()];

/** Parameters that map to fields of `sampling`. */
const SAMPLING: Readonly<Record<string, string>> = {
  temperature: "temperature",
  top_p: "top_p",
  top_k: "top_k",
  min_p: "min_p",
  seed: "seed",
  repeat_penalty: "repeat_penalty",
  presence_penalty: "presence_penalty",
  frequency_penalty: "frequency_penalty",
  num_predict: "max_tokens",
};

/** Parameters that map to backend settings. */
const SETTINGS: Readonly<Record<string, readonly [key: string, read: Read]>> = {
  num_ctx: ["n_ctx", asNumber],
  num_gpu: ["n_gpu_layers", asNumber],
  num_thread: ["threads", asNumber],
  main_gpu: ["main_gpu", asNumber],
  use_mmap: ["mmap", asBoolean],
  use_mlock: ["mlock", asBoolean],
};

/**
 * Convert a Modelfile to a backend.
 *
 * @param places Resolves its files.
 * @throws {ModelfileError} If it is invalid, or the model does not exist.
 */
export function backendOfModelfile(text: string, name: string, places: ModelfilePlaces): ModelfileBackend {
  const sampling: Record<string, unknown> = {};
  const settings: Record<string, unknown> = {};
  const stop: string[] = [];
  const lora: { path: string; scale: number }[] = [];
  const left: string[] = [];
  let model: { readonly path: string } | { readonly name: string } | undefined;
  for (const { word, value, line } of parseModelfile(text)) {
    const fail = (reason: string): never => {
      throw new ModelfileError(`Line ${line}: ${reason}`);
    };
    switch (word) {
      case "FROM":
        model = places.model(value) ??
          fail(`there is no model "${value}" on this machine: pull it with Ollama, or name a GGUF file`);
        break;
      case "SYSTEM":
        settings.system = value;
        break;
      case "ADAPTER":
        lora.push({ path: places.place(value), scale: 1 });
        break;
      case "PARAMETER": {
        const [, key = "", given = ""] = /^(\S+)\s+([\s\S]*)$/.exec(value) ?? [];
        const field = Object.hasOwn(SAMPLING, key) ? SAMPLING[key] : undefined;
        const [setting, read = asNumber] = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] ?? [] : [];
        if (key === "stop") stop.push(given);
        else if (field === undefined && setting === undefined) {
          left.push(`Line ${line}: PARAMETER ${key || value} has no counterpart and is left out`);
        } else {
          const said = read(given) ?? fail(`PARAMETER ${key} cannot be ${JSON.stringify(given)}`);
          // Negative numbers mean "no limit" or "as many as fit", which are the defaults.
          const isOpen = (key === "num_predict" || key === "num_gpu") && Number(said) < 0;
          if (!isOpen) (field === undefined ? settings : sampling)[field ?? setting ?? key] = said;
        }
        break;
      }
      case "TEMPLATE":
        left.push(
          `Line ${line}: TEMPLATE is a Go template, which cannot be evaluated here; the chat template in the model's ` +
            'file is used. For another one give "chat_template" a file with a Jinja template',
        );
        break;
      case "MESSAGE":
        left.push(`Line ${line}: MESSAGE has no counterpart: send the examples with each conversation`);
        break;
    }
  }
  if (model === undefined) throw new ModelfileError("There is no FROM, which names the model");
  if (stop.length > 0) sampling.stop = stop;
  const backend = {
    kind: "llamacpp",
    name,
    model,
    load: "on_demand",
    ...settings,
    ...(Object.keys(sampling).length === 0 ? {} : { sampling }),
    ...(lora.length === 0 ? {} : { lora }),
  };
  return { backend, left };
}
