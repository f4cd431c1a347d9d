/**
 * Renders conversations with the model's chat template or a substitute. The rest of this folder detects a family's
 * syntax by rendering probes.
 */
import { finish, type Work } from "../../../work/work.ts";
import type { Tool } from "../../../inference/request.ts";
import { strftime } from "../../jinja/library/strftime.ts";
import { asInput, type Rendered, Template, TemplateError } from "../../jinja/template.ts";
import { type MessageForm, messagesFor, type NameMap, toolsFor, type Turn } from "./messages.ts";

/** Template variables in addition to the conversation. */
export type Variables = Readonly<Record<string, unknown>>;

export interface Rendering {
  readonly turns: readonly Turn[];
  readonly tools?: readonly Tool[];
  readonly form: MessageForm;
  /** Whether to add the generation prompt. */
  readonly prompt: boolean;
  readonly variables?: Variables;
  /** The caller's own, which come before those; texts in them are input. */
  readonly given?: Variables;
  readonly rename?: NameMap;
}

export interface Renderer {
  /** @throws {TemplateError} If the template rejects it, or cannot be evaluated. */
  render(rendering: Rendering): Rendered;
  /** Time-sliced {@linkcode Renderer.render}, for renderers that may take long. */
  renderInPieces?(rendering: Rendering): Work<Rendered>;
  /** Source of the templates, to search for names; empty if there is none. */
  readonly source: string;
}

export interface TokenNames {
  readonly bos_token: string;
  readonly eos_token: string;
  readonly [name: string]: string;
}

/** Renders with a model's own chat template, or with its tool variant if tools are used. */
export class TemplateRenderer implements Renderer {
  readonly #plain: Template;
  readonly #tools: Template;
  readonly #names: TokenNames;
  readonly source: string;

  /** @throws {TemplateError} If a template cannot be parsed. */
  constructor(sources: { readonly plain: string; readonly tools?: string | undefined }, names: TokenNames) {
    this.#plain = new Template(sources.plain);
    this.#tools = sources.tools === undefined ? this.#plain : new Template(sources.tools);
    this.#names = names;
    this.source = sources.plain + (sources.tools ?? "");
  }

  render(rendering: Rendering): Rendered {
    return finish(this.renderInPieces(rendering));
  }

  renderInPieces({ turns, tools = [], form, prompt, variables = {}, given = {}, rename }: Rendering): Work<Rendered> {
    const calling = tools.length > 0 || turns.some(({ calls }) => calls !== undefined);
    const offered = toolsFor(tools, form, rename);
    return (calling ? this.#tools : this.#plain).renderInPieces({
      ...(this.source.includes("functions") ? legacyVariables(tools) : {}),
      ...variables,
      ...Object.fromEntries(Object.entries(given).map(([name, value]) => [name, asInput(value)])),
      ...this.#names,
      messages: messagesFor(turns, form),
      tools: offered,
      add_generation_prompt: prompt,
    });
  }
}

/** Firefunction's template takes tools and the date as text. */
function legacyVariables(tools: readonly Tool[]): Variables {
  const functions = tools.map(({ name, description, inputSchema }) => ({ name, description, parameters: inputSchema }));
  return {
    functions: asInput(tools.length === 0 ? "" : JSON.stringify(functions, undefined, 2)),
    // Without the time, which would change the prompt's prefix with each request.
    datetime: strftime(new Date(), "%b %d %Y"),
  };
}

/**
 * Render, working around conversations the template rejects: consecutive messages of one role are joined, and a
 * misplaced system message is moved into the next user message. Variants are tried in order until one is accepted.
 *
 * @throws {TemplateError} The first rejection, if every variant is rejected.
 */
export function* renderJoined(renderer: Renderer, rendering: Rendering): Work<Rendered> {
  let refusal: unknown;
  for (const turns of joined(rendering.turns)) {
    try {
      const asked = { ...rendering, turns };
      return renderer.renderInPieces === undefined ? renderer.render(asked) : yield* renderer.renderInPieces(asked);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

function* joined(given: readonly Turn[]): Generator<readonly Turn[]> {
  for (const turns of given.some(isCrowded) ? [given, given.map(thinkAloud)] : [given]) {
    yield turns;
    yield joinNeighbours(turns);
    yield joinNeighbours(moveSystem(turns, 1));
    yield joinNeighbours(moveSystem(turns, 0));
    yield joinAfterResults(joinNeighbours(moveSystem(turns, 0)));
  }
}

/** Some templates take a thought or a text before calls, not both. */
function isCrowded({ text, thinking, calls }: Turn): boolean {
  return text !== "" && thinking !== undefined && calls !== undefined;
}

function thinkAloud(turn: Turn): Turn {
  return isCrowded(turn) ? { ...turn, text: "", thinking: joinTexts(turn.thinking ?? "", turn.text) } : turn;
}

/** Joins consecutive turns of one role. Tool results stay separate: each answers its own call. */
function joinNeighbours(turns: readonly Turn[]): Turn[] {
  const all: Turn[] = [];
  for (const turn of turns) {
    const last = all.at(-1);
    if (last === undefined || last.role !== turn.role || turn.role === "tool") all.push(turn);
    else all[all.length - 1] = join(last, turn);
  }
  return all;
}

function join(one: Turn, other: Turn): Turn {
  const thinking = joinTexts(one.thinking ?? "", other.thinking ?? "");
  const calls = [...one.calls ?? [], ...other.calls ?? []];
  return {
    role: one.role,
    text: joinTexts(one.text, other.text),
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { calls }),
    ...(one.call === undefined ? {} : { call: one.call }),
  };
}

function joinTexts(one: string, other: string): string {
  return one === "" || other === "" ? one + other : `${one}\n\n${other}`;
}

/** Prepends system messages from this index on to the next user message, or turns them into one. */
function moveSystem(turns: readonly Turn[], from: number): Turn[] {
  const all: Turn[] = [];
  let held = "";
  for (const [index, turn] of turns.entries()) {
    if (turn.role === "system" && index >= from) {
      held = joinTexts(held, turn.text);
    } else if (held !== "" && turn.role === "user") {
      all.push({ ...turn, text: joinTexts(held, turn.text) });
      held = "";
    } else {
      all.push(turn);
    }
  }
  if (held !== "") all.push({ role: "user", text: held });
  return all;
}

/** Appends user text after tool results to the last result. */
function joinAfterResults(turns: readonly Turn[]): Turn[] {
  const all: Turn[] = [];
  for (const turn of turns) {
    const last = all.at(-1);
    if (turn.role === "user" && last?.role === "tool") {
      all[all.length - 1] = { ...last, text: joinTexts(last.text, turn.text) };
    } else all.push(turn);
  }
  return all;
}
