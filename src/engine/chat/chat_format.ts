/** Chooses what renders a model's conversations: its own template, ChatML, or a node-llama-cpp chat wrapper. */
import type { LoadChatLibrary } from "./render/chat_library.ts";
import { TemplateError } from "../jinja/template.ts";
import type { Model } from "../native/model.ts";
import { guardedTokens } from "./render/guarded.ts";
import type { SpecialTokens } from "./dialect/marker.ts";
import type { TokenizingModel } from "./render/prompt_tokens.ts";
import { USUAL_FORM } from "./render/messages.ts";
import { type Renderer, TemplateRenderer } from "./render/renderer.ts";
import { Prober } from "./probe/prober.ts";
import { type Traits, traitsOf } from "./probe/traits.ts";
import { WrapperRenderer } from "./render/wrapper.ts";

export type ChatModel =
  & Pick<TokenizingModel, "tokenizeBeside">
  & Pick<
    Model,
    | "metadata"
    | "named"
    | "addsBos"
    | "spacePrefix"
    | "longestPiece"
    | "tokenize"
    | "describe"
    | "isControl"
    | "endsAnswer"
    | "specialTokens"
  >
  & Partial<Pick<Model, "infill">>;

/** Why a model's own template is not used. */
export interface TemplateFault {
  readonly message: string;
  /** Line of the template; 0 if no line is to blame. */
  readonly line: number;
}

export type ChatFormat = "template" | "chatml" | "none" | `node-llama-cpp ${string}`;

const TEMPLATE = "tokenizer.chat_template";

/** Fallback for a template that cannot be evaluated, if the vocabulary has the ChatML tokens. */
const CHATML = `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** The chosen renderer and the traits of its template. */
export interface Chosen {
  readonly renderer: Renderer | undefined;
  readonly traits: Traits | undefined;
  readonly format: ChatFormat;
  readonly fault: TemplateFault | undefined;
}

/** The model's own template if usable, otherwise a substitute. */
export async function chooseFormat(model: ChatModel, loadLibrary: LoadChatLibrary): Promise<Chosen> {
  const { plain, tools } = sourcesOf(model.metadata);
  const bos = nameOf(model, model.named.BOS);
  const eos = nameOf(model, model.named.EOS);
  if (plain === undefined) {
    // Wrappers always emit BOS, even if the model does not add it.
    const wrapped = { metadata: model.metadata, bos: model.addsBos ? bos : "", eos };
    const renderer = await WrapperRenderer.for(wrapped, loadLibrary);
    const traits = traitsOf(proberOf(model, renderer, guardedTokens(model.specialTokens, "")));
    return { renderer, traits, format: `node-llama-cpp ${renderer.name}`, fault: undefined };
  }
  const names = { bos_token: bos, eos_token: eos };
  const guarded = guardedTokens(model.specialTokens, allSources(model));
  let fault: TemplateFault | undefined;
  for (const sources of tools === undefined || tools === plain ? [{ plain }] : [{ plain, tools }, { plain }]) {
    try {
      const renderer = new TemplateRenderer(sources, names);
      const traits = traitsOf(proberOf(model, renderer, guarded));
      if (traits !== undefined) return { renderer, traits, format: "template", fault };
      renderer.render({ turns: [{ role: "user", text: "Hi" }], form: USUAL_FORM, prompt: true });
      fault ??= { message: "it does not render the user's message", line: 0 };
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      fault ??= { message: error.message, line: error.line };
    }
  }
  const chatml = ["<|im_start|>", "<|im_end|>"].every((name) => guarded.get(name) !== undefined);
  if (!chatml) return { renderer: undefined, traits: undefined, format: "none", fault };
  const renderer = new TemplateRenderer({ plain: CHATML }, names);
  return { renderer, traits: traitsOf(proberOf(model, renderer, guarded)), format: "chatml", fault };
}

/** A model's chat template, and its variant for tool use. */
function sourcesOf(metadata: ReadonlyMap<string, string>): { readonly plain?: string; readonly tools?: string } {
  const named = [...metadata].filter(([key]) => key.startsWith(`${TEMPLATE}.`) && key !== `${TEMPLATE}.rerank`);
  const tools = metadata.get(`${TEMPLATE}.tool_use`);
  const plain = metadata.get(TEMPLATE) ?? metadata.get(`${TEMPLATE}.default`) ?? tools ?? named[0]?.[1];
  return { ...(plain === undefined ? {} : { plain }), ...(tools === undefined ? {} : { tools }) };
}

/** Concatenated text of all chat templates in the model file. */
export function allSources({ metadata }: ChatModel): string {
  return [...metadata].flatMap(([key, value]) => key.startsWith(TEMPLATE) ? [value] : []).join("\n");
}

export function proberOf(model: ChatModel, renderer: Renderer, specials: SpecialTokens): Prober {
  return new Prober(renderer, specials, (name) => {
    const special = specials.get(name);
    return special !== undefined && model.endsAnswer(special.token);
  });
}

/** Name of a special token; empty if the file names none and llama.cpp guessed a text token. */
function nameOf(model: ChatModel, token: number): string {
  return token >= 0 && model.isControl(token) ? model.describe(token) : "";
}
