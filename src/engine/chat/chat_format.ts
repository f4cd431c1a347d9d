/** What renders a model's conversations: its own template, what takes its place, or node-llama-cpp's wrapper. */
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

/** What a chat needs of a model. */
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
  >;

/** Why a model's own template is not used. */
export interface TemplateFault {
  readonly message: string;
  /** Of the template's text; 0 where no line is to blame. */
  readonly line: number;
}

/** What renders the conversations of a model. */
export type ChatFormat = "template" | "chatml" | "none" | `node-llama-cpp ${string}`;

const TEMPLATE = "tokenizer.chat_template";

/** For a model whose own template cannot be evaluated, where the vocabulary has the tokens. */
const CHATML = `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** What was chosen, and what was found out about it. */
export interface Chosen {
  readonly renderer: Renderer | undefined;
  readonly traits: Traits | undefined;
  readonly format: ChatFormat;
  readonly fault: TemplateFault | undefined;
}

/** The model's own template if it can be used, else its substitute. */
export async function chooseFormat(model: ChatModel, loadLibrary: LoadChatLibrary): Promise<Chosen> {
  const { plain, tools } = sourcesOf(model.metadata);
  const bos = nameOf(model, model.named.BOS);
  const eos = nameOf(model, model.named.EOS);
  if (plain === undefined) {
    // Wrappers begin every prompt with this token, also where the model does not.
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
      fault ??= { message: "it leaves out what the user says", line: 0 };
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

/** A model's chat template, and its variant for tools. */
function sourcesOf(metadata: ReadonlyMap<string, string>): { readonly plain?: string; readonly tools?: string } {
  const named = [...metadata].filter(([key]) => key.startsWith(`${TEMPLATE}.`) && key !== `${TEMPLATE}.rerank`);
  const tools = metadata.get(`${TEMPLATE}.tool_use`);
  const plain = metadata.get(TEMPLATE) ?? metadata.get(`${TEMPLATE}.default`) ?? tools ?? named[0]?.[1];
  return { ...(plain === undefined ? {} : { plain }), ...(tools === undefined ? {} : { tools }) };
}

/** The text of all templates in a model's file. */
export function allSources({ metadata }: ChatModel): string {
  return [...metadata].flatMap(([key, value]) => key.startsWith(TEMPLATE) ? [value] : []).join("\n");
}

/** Renders probes for a model. */
export function proberOf(model: ChatModel, renderer: Renderer, specials: SpecialTokens): Prober {
  return new Prober(renderer, specials, (name) => {
    const special = specials.get(name);
    return special !== undefined && model.endsAnswer(special.token);
  });
}

/** The name of a special token; nothing where the file names none and the library guesses one that is text. */
function nameOf(model: ChatModel, token: number): string {
  return token >= 0 && model.isControl(token) ? model.describe(token) : "";
}
