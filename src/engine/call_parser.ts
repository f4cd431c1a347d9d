/**
 * Reads calls from the text of an answer, from behind their marker to where text may go on. Takes space for nothing
 * wherever the template has it or a model may put it.
 */
import type { JsonObject } from "../backend/backend.ts";
import { asObject, BraceScan, readBraced, readObject } from "./call_input.ts";
import type { CallForm } from "./dialect.ts";
import { withControlNames, withoutControls } from "./text.ts";

/** Takes calls; returns nothing, for what can be read is a call. */
export type TakeCall = (name: string, input: JsonObject) => void;

/** Where reading is: more text is needed, there may be more to read, calls are over, or this is none. */
export type CallProgress = "waits" | "goes on" | "over" | "unreadable";

type Step = "sectionOpen" | "prefix" | "name" | "input" | "suffix" | "next";

/** Nobody's tool has a longer name. */
const MAX_NAME = 1000;

/** Reads the calls of one answer. */
export class CallParser {
  readonly #form: CallForm;
  readonly #tools: ReadonlySet<string>;
  #step: Step = "sectionOpen";
  #name = "";
  #scan: BraceScan | undefined;
  /** What came and is not read yet. */
  rest = "";

  constructor(form: CallForm, tools: ReadonlySet<string>) {
    this.#form = form;
    this.#tools = tools;
  }

  /** Whether the last call is whole; what may lack is what the template writes after it. */
  get whole(): boolean {
    return this.#step === "suffix" || this.#step === "next";
  }

  /** A marker came. */
  begin(rest: string): void {
    this.#step = "sectionOpen";
    this.rest = rest;
  }

  /** All came that stands before a name. */
  beginName(rest: string): void {
    this.#step = "name";
    this.rest = rest;
  }

  /** A call whose name is known came; its arguments follow. */
  beginInput(name: string, rest: string): void {
    this.#step = "input";
    this.#name = name;
    this.rest = rest;
  }

  /** Read on, one step at a time. */
  advance(take: TakeCall): CallProgress {
    const { read, json, section } = this.#form;
    switch (this.#step) {
      case "sectionOpen":
        return this.#skip(read.sectionOpen) === undefined ? "waits" : this.#goTo("prefix");
      case "prefix": {
        if (json !== undefined) return this.#goTo("input");
        const taken = this.#skip(read.prefix);
        return taken === undefined ? "waits" : taken ? this.#goTo("name") : "unreadable";
      }
      case "name":
        return this.#readName();
      case "input":
        return this.#readInput(take);
      case "suffix":
        if (this.#skipSuffix() === undefined) return "waits";
        return section ? this.#goTo("next") : "over";
      case "next":
        return this.#next();
    }
  }

  #goTo(step: Step): CallProgress {
    this.#step = step;
    return "goes on";
  }

  #readName(): CallProgress {
    const { read, braced } = this.#form;
    const at = this.rest.indexOf(read.beforeInput);
    if (at < 0) return this.rest.length <= MAX_NAME ? "waits" : "unreadable";
    this.#name = withoutControls(this.rest.slice(0, at)).trim();
    this.rest = this.rest.slice(at + read.beforeInput.length - (braced ? 1 : 0));
    return this.#goTo("input");
  }

  #readInput(take: TakeCall): CallProgress {
    const { read, json, braced } = this.#form;
    if (this.#scan === undefined) {
      this.rest = this.rest.trimStart();
      if (this.rest === "") return "waits";
      if (!this.rest.startsWith("{")) {
        // Nothing where arguments would be: there are none.
        const taken = json !== undefined || read.suffix === "" ? false : this.#skip(read.suffix);
        if (taken === undefined) return "waits";
        return taken && this.#send(this.#name, {}, take) ? "over" : "unreadable";
      }
      this.#scan = new BraceScan(0, braced);
    }
    const end = this.#scan.end(this.rest);
    if (end === undefined) return "waits";
    this.#scan = undefined;
    if (!this.#sendWritten(withControlNames(this.rest.slice(0, end)), take)) return "unreadable";
    this.rest = this.rest.slice(end);
    return this.#goTo("suffix");
  }

  /** In a section, after one of its calls. */
  #next(): CallProgress {
    const { read, json } = this.#form;
    this.rest = this.rest.trimStart();
    if (this.rest === "") return "waits";
    for (const literal of [read.sectionClose, read.between]) {
      const taken = literal === "" ? false : this.#skip(literal);
      if (taken === undefined) return "waits";
      if (taken) return literal === read.sectionClose ? "over" : "goes on";
    }
    const begin = json === undefined ? read.prefix : "{";
    if (begin !== "" && this.rest.startsWith(begin)) return this.#goTo("prefix");
    return begin.startsWith(this.rest) ? "waits" : "over";
  }

  /** Take what ends a call, and a brace that was closed twice before it. */
  #skipSuffix(): boolean | undefined {
    const { suffix } = this.#form.read;
    const taken = this.#skip(suffix);
    return taken === false ? this.#skip(`}${suffix}`) : taken;
  }

  /** Take a literal, with any space before and within it; `undefined` while that cannot be told. */
  #skip(literal: string): boolean | undefined {
    let at = 0;
    for (const char of literal) {
      if (char.trim() === "") continue;
      while (at < this.rest.length && (this.rest[at] as string).trim() === "") at++;
      if (at === this.rest.length) return undefined;
      if (!this.rest.startsWith(char, at)) return false;
      at += char.length;
    }
    this.rest = this.rest.slice(at);
    return true;
  }

  #sendWritten(written: string, take: TakeCall): boolean {
    const { json, braced, marker } = this.#form;
    if (json === undefined) return this.#send(this.#name, braced ? readBraced(written) : readObject(written), take);
    const call = readObject(written);
    const name = call?.[json.name];
    // Without a marker, it is a call only if it says so.
    const input = call?.[json.input] ?? (marker.length === 0 ? undefined : {});
    const object = typeof input === "string" ? readObject(input) : asObject(input);
    return typeof name === "string" && this.#send(name, object, take);
  }

  #send(name: string, input: JsonObject | undefined, take: TakeCall): boolean {
    if (input === undefined || !this.#tools.has(name)) return false;
    take(name, input);
    return true;
  }
}
