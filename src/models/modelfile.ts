/**
 * Ollama's Modelfile: what it says, and the backend of the configuration file that is the same. Which files its names
 * stand for is the caller's to know.
 */

/** A file that cannot be understood; the message is for the operator. */
export class ModelfileError extends Error {
  override readonly name = "ModelfileError";
}

/** One instruction: its word in upper case, and what follows. */
export interface Instruction {
  readonly word: string;
  readonly value: string;
  /** Counted from 1. */
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
 * Read a Modelfile.
 *
 * @param text What the file says.
 * @returns Its instructions, in order.
 * @throws {ModelfileError} If a line is none, or a text is not closed.
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
        `Line ${number}: there is no instruction ${JSON.stringify(word)}, only ${[...WORDS].join(", ")}`,
      );
    }
    // Only there a name comes before the text in quotes.
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

/** Where the files are that a Modelfile names. */
export interface ModelfilePlaces {
  /** The model of a `FROM`: a file or a name in the store; undefined: there is none. */
  model(from: string): { readonly path: string } | { readonly name: string } | undefined;
  /** A path relative to the Modelfile. */
  place(path: string): string;
}

/** What came of it. */
export interface ModelfileBackend {
  /** A backend as the configuration file has it. */
  readonly backend: Readonly<Record<string, unknown>>;
  /** What could not be taken over, for the operator. */
  readonly left: readonly string[];
}

type Read = (text: string) => unknown;

const asNumber: Read = (text) => /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
const asBoolean: Read = (text) => ({ true: true, false: false, 1: true, 0: false })[text.toLowerCase()];

/** Parameters that are fields of `sampling`. */
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

/** Parameters that are settings of the backend. */
const SETTINGS: Readonly<Record<string, readonly [key: string, read: Read]>> = {
  num_ctx: ["n_ctx", asNumber],
  num_gpu: ["n_gpu_layers", asNumber],
  num_thread: ["threads", asNumber],
  main_gpu: ["main_gpu", asNumber],
  use_mmap: ["mmap", asBoolean],
  use_mlock: ["mlock", asBoolean],
};

/**
 * Make a backend of a Modelfile.
 *
 * @param text What the file says.
 * @param name What the backend is to be called.
 * @param places Where its files are.
 * @throws {ModelfileError} If it cannot be understood, or there is no such model.
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
          // Ollama means "no limit" and "as many as fit" by negative numbers, which is what holds without them.
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
