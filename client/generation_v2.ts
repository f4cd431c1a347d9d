/** Requests of generation v2: blocks, tools or a schema. */
import type { LongText, V1Role } from "./protocol/mod.ts";
import type { Attachment, Block, Message, Tool, ToolChoice } from "./blocks.ts";
import type { SamplingOptions } from "./generation.ts";
import type { AnySchema } from "./standard_schema.ts";

/**
 * A text of another place, such as a piece of another file, for a model that fills in text.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { ExtraText } from "@inferd/client";
 *
 * export const extra: ExtraText = { filename: "add.ts", text: "export function add(a: number, b: number): number;" };
 * ```
 */
export interface ExtraText {
  /** The name of its file, which models that mark files are told. */
  readonly filename?: string | undefined;
  /** The text. */
  readonly text: string;
}

/**
 * The fields of a v2 request; {@linkcode V2Mark} are those that make it one.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerateV2Fields } from "@inferd/client";
 *
 * export const fields: GenerateV2Fields = {
 *   messages: [{ role: "user", content: "What is 7 times 8?" }],
 *   thinking: true,
 *   maxTokens: 300,
 * };
 * ```
 */
export interface GenerateV2Fields<Tools extends readonly Tool[] = readonly Tool[]> extends SamplingOptions {
  /** Name of a backend or of a model it serves; no other backend answers. Default: any, in the operator's order. */
  readonly model?: string | undefined;
  /** The conversation; empty only with `prompt`. */
  readonly messages: readonly Message<LongText>[];
  /**
   * In place of `messages`: a text that the model continues as it is, without a chat template, or texts and token ids in
   * a row. Names of control tokens stand for these.
   */
  readonly prompt?: LongText | readonly (LongText | number)[] | undefined;
  /** Only with `prompt`: what follows the answer, which fills the middle. Needs a model with tokens for that. */
  readonly suffix?: string | undefined;
  /** Only with `suffix`: at most 256 texts of other places, the most important last. The prompt is then cut to fit. */
  readonly extra?: readonly ExtraText[] | undefined;
  /**
   * `true`: sample as for filling in text: only tokens that the model is sure of, and where there is none, the answer
   * ends. Default `false`. Not together with tools, a schema or a grammar.
   */
  readonly infillSampling?: boolean | undefined;
  /**
   * `true`: the prompt opens a turn of the assistant's, also after a message of the assistant's. `false`: it ends with
   * the last message. Default: it opens a turn, but a last message of the assistant's is continued.
   */
  readonly generationPrompt?: boolean | undefined;
  /** Variables for the model's chat template, beside those that it is given anyway, such as `date_string`. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
  /** The media of the conversation's blocks; at most 32. */
  readonly attachments?: readonly Attachment<LongText>[] | undefined;
  /** The tools that the model may call; at most 128. */
  readonly tools?: Tools | undefined;
  /** Whether the model may, must or must not call a tool, or which one it must call. Default `auto`. */
  readonly toolChoice?: ToolChoice<Tools[number]["name"]> | undefined;
  /** Schema that the answer's text follows. Not together with a `toolChoice` that requires a call. */
  readonly schema?: AnySchema | undefined;
  /** `true`: the answer's text is a JSON object, any one. Without `schema`, which says more. */
  readonly json?: boolean | undefined;
  /** 0 … 20: report the probabilities of the tokens, and of so many alternatives for each. */
  readonly logprobs?: number | undefined;
  /** `true`: the probabilities are those that sampling drew from. Default `false`: the model's, before sampling. */
  readonly logprobsAfterSampling?: boolean | undefined;
  /** `true`: yield `progress` events, while the prompt is processed and before other events. Default `false`. */
  readonly progress?: boolean | undefined;
  /** `true`: report the tokens of prompt and answer. Default `false`. */
  readonly returnTokens?: boolean | undefined;
  /** Requests a reasoning trace. Default `false`: the model is told not to think. */
  readonly thinking?: boolean | undefined;
  /** `false`: text and thinking come as one event each, before `done`. Default `true`. */
  readonly stream?: boolean | undefined;
  /** A GBNF grammar that the answer follows. Not together with tools, a schema or thinking. */
  readonly grammar?: string | undefined;
  /** `true`: the model does not end the answer, which goes on up to `maxTokens` or a stop string. Default `false`. */
  readonly ignoreEos?: boolean | undefined;
}

/**
 * What makes a request one of v2: blocks, or any of its fields. Plain text goes to v1 otherwise; `thinking: false` sends
 * it to v2.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { V2Mark } from "@inferd/client";
 *
 * // Any one of these sends a request to generation v2.
 * export const marks: readonly V2Mark[] = [{ thinking: false }, { schema: { type: "string" } }, { toolChoice: "none" }];
 * ```
 */
export type V2Mark =
  | { readonly messages: readonly { readonly role: V1Role; readonly content: readonly Block<LongText>[] }[] }
  | { readonly attachments: readonly Attachment<LongText>[] }
  | { readonly tools: readonly Tool[] }
  | { readonly toolChoice: ToolChoice }
  | { readonly schema: AnySchema }
  | { readonly json: boolean }
  | { readonly logprobs: number }
  | { readonly prompt: LongText | readonly (LongText | number)[] }
  | { readonly generationPrompt: boolean }
  | { readonly templateVariables: Readonly<Record<string, unknown>> }
  | { readonly progress: boolean }
  | { readonly returnTokens: boolean }
  | { readonly ignoreEos: boolean }
  | { readonly infillSampling: boolean }
  | { readonly thinking: boolean }
  | { readonly model: string };

/**
 * A request with blocks, tools, a schema or thinking. Omitted options have the daemon's defaults.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerateV2Request } from "@inferd/client";
 *
 * export const request: GenerateV2Request = {
 *   messages: [{ role: "user", content: "Name a colour." }],
 *   schema: { enum: ["red", "green", "blue"] },
 * };
 * ```
 */
export type GenerateV2Request<Tools extends readonly Tool[] = readonly Tool[]> = GenerateV2Fields<Tools> & V2Mark;

/** Whether a request needs v2. */
export function isV2(request: GenerateV2Fields | { readonly messages: readonly Message<LongText>[] }): boolean {
  const { attachments, tools, toolChoice, schema, json, logprobs, thinking, model }: Partial<GenerateV2Fields> =
    request;
  const { prompt, ignoreEos, generationPrompt, progress, returnTokens, infillSampling }: Partial<GenerateV2Fields> =
    request;
  const { templateVariables }: Partial<GenerateV2Fields> = request;
  const marks = [
    templateVariables,
    attachments,
    tools,
    toolChoice,
    schema,
    json,
    logprobs,
    thinking,
    model,
    prompt,
    ignoreEos,
  ];
  return [...marks, generationPrompt, progress, returnTokens, infillSampling].some((field) => field !== undefined) ||
    request.messages.some(({ content }) => Array.isArray(content));
}
