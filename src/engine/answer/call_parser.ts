/**
 * Incremental parser for the calls of an answer, from after their marker to where text may continue. Ignores whitespace
 * wherever the template has it or a model may insert it.
 */
import type { JsonObject } from "../../inference/request.ts";
import { type ArgumentsReader, argumentsReader, skipTo } from "./call_arguments.ts";
import { asObject, BraceScan, readObject } from "./call_literals.ts";
import type { CallForm, CallPart } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { beginsWithControl, withControlNames, withoutControls } from "../chat/dialect/control_text.ts";
import { compact } from "./text.ts";

export type TakeCall = (name: string, input: JsonObject) => void;

/** Parser status: more text is needed, more may be parsed, calls are over, or this is not a call. */
export type CallProgress = "waits" | "goes on" | "over" | "unreadable";

/** Argument schemas of callable tools, by the names that the model writes. */
export type CallableTools = ReadonlyMap<string, JsonObject>;

type Step =
  | { readonly type: "literal"; readonly text: string }
  | { readonly type: "name" | "id" | "index" | "arguments" | "object" | "end" };

const MAX_NAME = 1000;
/** Keys that models write instead of the family's key for arguments. */
const INPUT_KEYS = ["arguments", "parameters", "input", "args"];

export class CallParser {
  readonly #form: CallForm;
  readonly #tools: CallableTools;
  /** Steps after the marker, and steps of a further call. */
  readonly #first: readonly Step[];
  readonly #further: readonly Step[];
  readonly #named: readonly Step[];
  readonly #section: boolean;
  readonly #sectionClose: string;
  readonly #between: string;
  #steps: readonly Step[] = [];
  #at = 0;
  #name = "";
  #reader: ArgumentsReader | BraceScan | undefined;
  #sent = false;
  /** Whether a call of a section has just ended. */
  #isBetween = false;
  rest = "";

  constructor(form: CallForm, tools: CallableTools) {
    this.#form = form;
    this.#tools = tools;
    const marker = compact(textOf(form.marker));
    const head = stepsOf(form.head);
    const body = form.object === undefined ? [...head, { type: "arguments" } as const] : objectSteps(head);
    const tail = form.object === undefined ? stepsOf(form.tail) : objectTail(stepsOf(form.tail));
    const steps = [...body, ...tail, { type: "end" } as const];
    const section = textOf(form.sectionOpen);
    const before: Step[] = section.trim() === "" ? steps : [{ type: "literal", text: section }, ...steps];
    this.#further = steps;
    this.#first = without(before, marker);
    const nameAt = steps.findIndex(({ type }) => type === "name");
    this.#named = nameAt < 0 ? steps : steps.slice(nameAt);
    const bare = form.marker.length === 0 && form.recipient !== true;
    this.#section = section.trim() !== "" || bare && form.several;
    this.#sectionClose = textOf(form.sectionClose).trim();
    this.#between = textOf(form.between).trim();
  }

  /** Whether the last call is complete; only the template's closing text may be missing. */
  get whole(): boolean {
    return this.#sent;
  }

  /** Starts after the marker. */
  begin(rest: string): void {
    this.#start(this.#first, rest);
  }

  /** Starts at a call whose section was not opened. */
  beginCall(rest: string): void {
    this.#start(without(this.#further, compact(innerMarker(this.#form))), rest);
  }

  /** Starts at the name. */
  beginName(rest: string): void {
    this.#start(this.#named, rest);
  }

  /** Starts at the arguments of a named call. */
  beginInput(name: string, rest: string): void {
    this.#start(this.#further.slice(this.#further.findIndex(({ type }) => type === "arguments")), rest);
    this.#name = name;
  }

  #start(steps: readonly Step[], rest: string): void {
    this.#steps = steps;
    this.#at = 0;
    this.#name = "";
    this.#reader = undefined;
    this.#sent = false;
    this.#isBetween = false;
    this.rest = rest;
  }

  /**
   * Advance by one step.
   *
   * @param final Whether the text is complete.
   */
  advance(take: TakeCall, final = false): CallProgress {
    if (this.#isBetween) return this.#next(final);
    const step = this.#steps[this.#at] as Step;
    switch (step.type) {
      case "literal":
        return this.#readLiteral(step.text, final);
      case "name":
        return this.#readName(final);
      case "id":
        return this.#readId(final);
      case "index":
        return this.#readIndex(final);
      case "arguments":
        return this.#readArguments(take, final);
      case "object":
        return this.#readCall(take);
      case "end":
        if (!this.#section) return "over";
        this.#isBetween = true;
        return "goes on";
    }
  }

  #done(end: number): CallProgress {
    this.rest = this.rest.slice(end);
    this.#at++;
    return "goes on";
  }

  #readLiteral(literal: string, final: boolean): CallProgress {
    const end = skipTo(this.rest, 0, literal, final);
    if (end === "waits") return final && this.#sent ? "over" : "waits";
    if (end !== undefined) return this.#done(end);
    if (!this.#sent) return "unreadable";
    // Tolerate a doubled closing brace before the end of the call.
    const twice = skipTo(this.rest, 0, `}${literal}`, final);
    if (twice === "waits") return "waits";
    return this.#done(twice ?? 0);
  }

  #readName(final: boolean): CallProgress {
    const stops = this.#stopsOfName();
    const numbered = this.#steps[this.#at + 2]?.type === "index";
    let at = -1;
    for (const stop of stops) {
      let found = this.rest.indexOf(stop);
      // A name may contain the delimiter before the call's number.
      while (numbered && found >= 0 && !/\d/.test(this.rest.charAt(found + stop.length))) {
        if (found + stop.length === this.rest.length && !final) return "waits";
        found = this.rest.indexOf(stop, found + 1);
      }
      if (found >= 0 && (at < 0 || found < at)) at = found;
    }
    if (at < 0) {
      // A bare name is a call without arguments.
      if (final && this.#tools.has(this.#nameIn(this.rest))) at = this.rest.length;
      else return this.rest.length <= MAX_NAME && !final ? "waits" : "unreadable";
    }
    this.#name = this.#nameIn(this.rest.slice(0, at));
    if (!this.#tools.has(this.#name)) return "unreadable";
    return this.#done(at);
  }

  #nameIn(text: string): string {
    return withoutControls(text).trim();
  }

  /** Delimiters that may follow a name. */
  #stopsOfName(): string[] {
    const following = this.#steps.slice(this.#at + 1);
    const { arguments: form } = this.#form;
    const next = following[0];
    if (next?.type === "literal") {
      const text = next.text.trim();
      return text === "" ? [next.text] : [text];
    }
    switch (form.type) {
      case "json":
      case "gemma":
        return ["{"];
      case "python":
        return ["("];
      case "elements":
      case "nested": {
        const tail = following.find((step) => step.type === "literal" && step.text.trim() !== "");
        return [textOf(form.open).trim(), ...(tail?.type === "literal" ? [tail.text.trim()] : [])];
      }
    }
  }

  #readId(final: boolean): CallProgress {
    const next = this.#steps[this.#at + 1];
    const stop = next?.type === "literal" ? next.text.trim() : "{";
    const at = this.rest.indexOf(stop);
    if (at >= 0) return this.#done(at);
    return this.rest.length <= MAX_NAME && !final ? "waits" : this.#sent ? this.#done(0) : "unreadable";
  }

  #readIndex(final: boolean): CallProgress {
    const digits = /^\d*/.exec(this.rest)?.[0].length ?? 0;
    return digits === this.rest.length && !final ? "waits" : this.#done(digits);
  }

  #readArguments(take: TakeCall, final: boolean): CallProgress {
    const { arguments: form } = this.#form;
    const text = this.rest.trimStart();
    if (form.type === "json" || form.type === "gemma" || form.type === "python") {
      const begin = form.type === "python" ? "(" : "{";
      if (text === "") return final ? this.#send({}, take) : "waits";
      if (!text.startsWith(begin)) return this.#readNoArguments(text, take, final);
    }
    this.rest = text;
    this.#reader ??= argumentsReader(form, {
      schema: this.#tools.get(this.#name) ?? {},
      after: this.#afterArguments(),
    });
    const read = (this.#reader as ArgumentsReader).read(text, final);
    if (typeof read === "string") return read;
    this.rest = text.slice(read.end);
    return this.#send(read.input, take);
  }

  /** Omitted arguments: the text after the call comes in their place. */
  #readNoArguments(text: string, take: TakeCall, final: boolean): CallProgress {
    const followers = [...this.#afterArguments(), this.#sectionClose, this.#between].filter((literal) =>
      literal !== ""
    );
    const ends = followers.map((literal) => skipTo(text, 0, literal, final));
    if (beginsWithControl(text) || ends.some((end) => typeof end === "number")) return this.#send({}, take);
    return ends.includes("waits") ? "waits" : "unreadable";
  }

  /** Literals that may follow the last argument. */
  #afterArguments(): string[] {
    const tail = this.#steps.slice(this.#at + 1).find((step) => step.type === "literal" && step.text.trim() !== "");
    return tail?.type === "literal" ? [tail.text.trim()] : [];
  }

  /** Parses a call that is one object. */
  #readCall(take: TakeCall): CallProgress {
    const { object } = this.#form;
    this.#reader ??= new BraceScan(0);
    this.rest = this.rest.trimStart();
    if (this.rest === "") return "waits";
    if (!this.rest.startsWith("{")) return "unreadable";
    const end = (this.#reader as BraceScan).end(this.rest);
    if (end === undefined) return "waits";
    const written = readObject(withControlNames(this.rest.slice(0, end)));
    const call = written === undefined
      ? undefined
      : object === "keyed"
      ? keyedCall(written)
      : this.#objectCall(written);
    if (call === undefined || !this.#tools.has(call.name)) return "unreadable";
    this.#name = call.name;
    this.rest = this.rest.slice(end);
    return this.#send(call.input, take);
  }

  #objectCall(written: JsonObject): { name: string; input: JsonObject } | undefined {
    const { object, marker } = this.#form;
    if (object === undefined || object === "keyed") return undefined;
    const inner = asObject(written.function);
    const call = inner !== undefined && !Object.hasOwn(written, object.name) ? inner : written;
    const name = call[object.name];
    const key = [object.input, ...INPUT_KEYS].find((key) => Object.hasOwn(call, key));
    // Without a marker, the object must have the arguments key to be a call.
    const input = key === undefined ? marker.length === 0 ? undefined : {} : call[key];
    const value = typeof input === "string" ? readObject(input) : input === null ? {} : asObject(input);
    return typeof name !== "string" || value === undefined ? undefined : { name, input: value };
  }

  /** Between the calls of a section. */
  #next(final: boolean): CallProgress {
    this.rest = this.rest.trimStart();
    if (this.rest === "") return final ? "over" : "waits";
    for (const literal of [this.#sectionClose, this.#between]) {
      const end = literal === "" ? undefined : skipTo(this.rest, 0, literal, final);
      if (end === "waits") return "waits";
      if (end === undefined) continue;
      this.rest = this.rest.slice(end);
      if (literal === this.#sectionClose) return "over";
      this.#start(this.#further, this.rest);
      return "goes on";
    }
    const first = this.#further[0];
    if (first?.type === "name" && this.#between === "") {
      if (/^[\w.]+\(/.test(this.rest)) {
        this.#start(this.#further, this.rest);
        return "goes on";
      }
      return !final && /^[\w.]+$/.test(this.rest) ? "waits" : "over";
    }
    const begin = first?.type === "literal" ? first.text.trim() : first?.type === "object" ? "{" : "";
    if (begin !== "") {
      const end = skipTo(this.rest, 0, begin, final);
      if (end === "waits") return "waits";
      if (end !== undefined) {
        this.#start(this.#further, this.rest);
        return "goes on";
      }
    }
    return "over";
  }

  #send(input: JsonObject, take: TakeCall): CallProgress {
    this.#reader = undefined;
    this.#sent = true;
    take(this.#name, input);
    this.#at++;
    return "goes on";
  }
}

/** Token that begins each call of a section; empty if there is none, or it is the section's marker. */
export function innerMarker({ head, marker, sectionOpen }: CallForm): string {
  const [first] = head;
  const token = first?.type === "text"
    ? first.text.find((part) => typeof part !== "string" || part.trim() !== "")
    : undefined;
  if (sectionOpen.length === 0 || typeof token !== "object") return "";
  return textOf(marker).includes(token.text) ? "" : token.text;
}

/** A call written as `{name: arguments}`. */
function keyedCall(written: JsonObject): { name: string; input: JsonObject } | undefined {
  const [entry, ...others] = Object.entries(written);
  if (entry === undefined || others.length > 0) return undefined;
  const [name, value] = entry;
  const input = typeof value === "string" ? readObject(value) : asObject(value);
  return input === undefined ? undefined : { name, input };
}

function stepsOf(parts: readonly CallPart[]): Step[] {
  return parts.flatMap((part): Step[] =>
    part.type === "text" ? [{ type: "literal", text: textOf(part.text) }] : [part]
  );
}

/** Steps up to the call's opening brace, then the object. */
function objectSteps(head: readonly Step[]): Step[] {
  const steps: Step[] = [];
  for (const step of head) {
    const brace = step.type === "literal" ? step.text.indexOf("{") : -1;
    if (step.type === "literal" && brace >= 0) {
      if (step.text.slice(0, brace).trim() !== "") steps.push({ type: "literal", text: step.text.slice(0, brace) });
      break;
    }
    steps.push(step);
  }
  return [...steps, { type: "object" }];
}

/** Steps after the call's closing brace. */
function objectTail(tail: readonly Step[]): Step[] {
  const at = tail.findIndex((step) => step.type === "literal" && step.text.includes("}"));
  const closing = tail[at];
  if (closing?.type !== "literal") return [...tail];
  const text = closing.text.slice(closing.text.indexOf("}") + 1);
  return [...(text.trim() === "" ? [] : [{ type: "literal", text } as const]), ...tail.slice(at + 1)];
}

/** Removes a marker from the start of the steps that contain it. */
function without(steps: readonly Step[], marker: string): Step[] {
  const rest = [...steps];
  for (let left = marker; left !== "";) {
    const step = rest.shift();
    if (step?.type !== "literal") return step === undefined ? rest : [step, ...rest];
    const text = compact(step.text);
    if (left.startsWith(text)) {
      left = left.slice(text.length);
      continue;
    }
    if (!text.startsWith(left)) return [step, ...rest];
    rest.unshift({ type: "literal", text: text.slice(left.length) });
    break;
  }
  return rest;
}
