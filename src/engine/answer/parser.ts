/**
 * Parses generated text into text, thoughts and calls, according to the template's dialect. Possible prefixes of
 * markers are held back, so that no part of a marker is ever sent, however the text is chunked. Control tokens arrive
 * as `controlText`; those that belong to no marker are dropped.
 */
import type { JsonObject } from "../../inference/request.ts";
import { type AnswerMarks, type Kind, marksOf } from "./answer_marks.ts";
import { AnswerText } from "./answer_text.ts";
import { CallParser } from "./call_parser.ts";
import type { Dialect } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { HeaderReader } from "./message_header.ts";
import { BY_CALL, BY_MARKER, BY_NAME, type CallBeginning, type Ending, type Meaning } from "./parser_options.ts";
import type { ParserOptions, TextBeginsCall } from "./parser_options.ts";
import { afterCompact, compact, endOf, type Found } from "./text.ts";
import { beginsWithControl, withoutControls } from "../chat/dialect/control_text.ts";

type State = "text" | "thought" | "header" | "call" | "over";

export class Parser {
  readonly #dialect: Dialect;
  readonly #marks: AnswerMarks;
  readonly #caller: CallParser | undefined;
  readonly #headers: HeaderReader | undefined;
  readonly #out: AnswerText;
  #state: State;
  #rest = "";
  /** How the current call was recognised. */
  #begun: CallBeginning | undefined;
  /** Text since a bare call began, until the first call is complete. */
  #bare: string | undefined;
  /** Whether the message header announced a call. */
  #addressed = false;
  /** Whether leading whitespace belongs to the template. */
  #dropSpace = false;
  #ended: Ending | undefined;
  /** Closes a thought. */
  readonly thoughtClose: string | undefined;

  constructor(options: ParserOptions) {
    const { dialect: { thought, call, channels }, start, tools } = options;
    this.#dialect = options.dialect;
    this.#marks = marksOf(options);
    const { calls, marker, reads } = this.#marks;
    this.thoughtClose = thought === undefined ? undefined : textOf(thought.close);
    this.#caller = call === undefined ? undefined : new CallParser(call, tools);
    this.#headers = channels && new HeaderReader({ channels, marker, calls: reads, tools });
    this.#out = new AnswerText({ holdsSpace: calls === "read" && marker !== "" && channels === undefined });
    this.#state = start;
    this.#dropSpace = start === "thought";
  }

  get thinking(): boolean {
    return this.#state === "thought";
  }

  /** How the call in progress was recognised, if there is one. */
  get callBegun(): CallBeginning | undefined {
    return this.#state === "call" ? this.#begun : this.#addressed ? BY_MARKER : undefined;
  }

  /** Set once the answer ended by itself, at a stop string or an end marker. Later text is ignored. */
  get ended(): Ending | undefined {
    return this.#ended;
  }

  push(text: string, meaning: Meaning): void {
    if (text === "") return;
    if (
      this.#state === "text" && this.#rest === "" && this.#out.passes && !this.#marks.text.mayBegin(text)
    ) {
      return meaning.text(text);
    }
    this.#rest += text;
    while (this.#advance(meaning, false));
    this.#out.releaseLong(meaning);
  }

  /** @param cut Whether the answer was cut off: an incomplete call is dropped. */
  finish(cut: boolean, meaning: Meaning): void {
    while (this.#advance(meaning, !cut || this.#state !== "call"));
    // An object that turned out not to be a call is text; a truncated call is dropped.
    const isText = this.#marks.marker === "" && (!cut || this.#marks.calls === "first");
    if (this.#state === "call" && this.#caller?.whole === false && isText) {
      this.#leaveCall(this.#bare ?? this.#caller.rest);
      while (this.#advance(meaning, true));
    }
    const state = this.#state;
    this.#state = "over";
    this.#rest = "";
    if (state === "text") {
      this.#out.space(meaning);
      this.#out.release(meaning);
    } else if (state === "call" && this.#caller?.whole === false && !cut) {
      meaning.malformed();
    }
  }

  /**
   * Whether this text would begin a call if it came next.
   *
   * @returns How the call would be recognised, and the text after its beginning; `undefined` if no call would begin.
   */
  beginsCall(text: string): TextBeginsCall | undefined {
    if (this.#caller === undefined) return undefined;
    const joined = this.#rest + text;
    const after = (end: number, begun: CallBeginning = BY_MARKER): TextBeginsCall | undefined =>
      end < 0 ? undefined : { ...begun, rest: joined.slice(end) };
    const { channels, call } = this.#dialect;
    if (channels !== undefined) {
      return this.#state === "header" && !this.#addressed ? after(endOf(joined, this.#marks.marker)) : undefined;
    }
    if (this.#state === "thought") {
      const found = this.#marks.inThought.find(joined);
      return found?.kind === "call" && this.#countsInThought(joined.slice(0, found.at)) ? after(found.end) : undefined;
    }
    if (this.#state !== "text") return undefined;
    if (call?.recipient) {
      const found = this.#atStart(joined);
      return found?.kind === "recipient"
        ? after(found.end, this.#addressee(joined.slice(found.at, found.end)))
        : undefined;
    }
    if (this.#marks.marker === "") {
      if (!this.#out.fresh) return undefined;
      const found = compact(withoutControls(joined));
      const lead = this.#marks.leads.find(({ text }) => found.startsWith(text));
      return lead === undefined ? undefined : { ...BY_MARKER, rest: afterCompact(joined, lead.length) };
    }
    const end = this.#marks.calls !== "first" || this.#out.fresh ? endOf(joined, this.#marks.marker) : -1;
    if (end >= 0) return after(end);
    const inner = this.#marks.inner === "" ? -1 : endOf(joined, this.#marks.inner);
    if (inner >= 0) return after(inner, BY_CALL);
    const at = this.#marks.unmarked === "" ? -1 : joined.indexOf(this.#marks.unmarked);
    return at >= 0 && this.#out.beginsLine(joined.slice(0, at))
      ? after(at + this.#marks.unmarked.length, BY_NAME)
      : undefined;
  }

  /** @returns Whether there may be more to parse. */
  #advance(meaning: Meaning, final: boolean): boolean {
    switch (this.#state) {
      case "text":
        return this.#text(meaning, final);
      case "thought":
        return this.#thought(meaning, final);
      case "header":
        return this.#header();
      case "call":
        return this.#call(meaning, final);
      case "over":
        this.#rest = "";
        return false;
    }
  }

  #text(meaning: Meaning, final: boolean): boolean {
    if (!this.#hasRest()) return false;
    if (
      this.#out.fresh && this.#marks.marker === "" && !this.#dialect.call?.recipient &&
      (this.#marks.calls === "read" || this.#marks.calls === "first")
    ) {
      const found = compact(withoutControls(this.#rest));
      const lead = this.#marks.leads.find(({ text }) => found.startsWith(text));
      if (lead !== undefined) {
        const at = this.#rest.indexOf(lead.text.charAt(0));
        this.#out.keepSpace(withoutControls(this.#rest.slice(0, at)));
        return this.#beginCall(this.#rest.slice(at));
      }
      if (found !== "" && !final && this.#marks.leads.some(({ text }) => text.startsWith(found))) return false;
    }
    let found = this.#atStart(this.#rest, final);
    if (this.#out.suspects && !this.#out.fresh) {
      const stray = this.#marks.suspect.find(this.#rest, final);
      if (stray !== undefined && stray.at <= (found?.at ?? Infinity)) found = stray;
    }
    if (found?.end === undefined) {
      const sendable = this.#rest.slice(0, found?.at);
      this.#rest = this.#rest.slice(sendable.length);
      this.#out.text(sendable, meaning);
      return false;
    }
    const before = this.#rest.slice(0, found.at);
    const after = this.#rest.slice(found.end);
    switch (found.kind) {
      case "stop":
      case "end":
        this.#out.text(before, meaning);
        this.#out.space(meaning);
        return this.#end({ kind: found.kind, text: this.#rest.slice(found.at, found.end) }, meaning);
      case "thought":
        this.#out.text(before, meaning);
        if (!this.#out.fresh) this.#out.space(meaning);
        this.#out.dropSpace();
        this.#enter("thought", after);
        return true;
      case "unmarked":
        if (!this.#out.beginsLine(before)) return this.#pass(found.end, meaning);
        this.#out.text(before, meaning);
        this.#beginCall("", BY_NAME);
        this.#caller?.beginName(after);
        return true;
      case "call":
        if (this.#marks.calls === "hold") return this.#pass(found.end, meaning);
        this.#out.text(before, meaning);
        return this.#beginCall(after);
      case "inner":
        this.#out.text(before, meaning);
        this.#out.dropSpace();
        this.#caller?.beginCall(after);
        this.#enterCall(BY_CALL);
        return true;
      case "frame":
        this.#out.text(before, meaning);
        this.#enter("text", after);
        return true;
      case "recipient": {
        this.#out.text(before, meaning);
        const begun = this.#addressee(this.#rest.slice(found.at, found.end));
        this.#caller?.beginInput(begun.tool, after);
        this.#enterCall(begun);
        return true;
      }
      case "stray":
        this.#out.text(before, meaning);
        this.#out.dropSpace();
        this.#out.wasThought(meaning);
        this.#enter("text", after);
        return true;
      case "message":
      case "close":
        if (this.#dialect.channels === undefined) {
          // The end marker of a thought that was never opened, or ended with a call.
          this.#out.dropSpace();
          this.#enter("text", after);
          return true;
        }
        this.#out.text(before, meaning);
        this.#enter("header", found.kind === "close" ? after : this.#rest.slice(found.at));
        return true;
    }
  }

  /** A quoted marker is text. */
  #pass(end: number, meaning: Meaning): boolean {
    this.#out.text(this.#rest.slice(0, end), meaning);
    this.#rest = this.#rest.slice(end);
    return true;
  }

  /** First marker in the text that comes next. */
  #atStart(text: string, final = false): Found<Kind> | undefined {
    const found = (this.#out.fresh ? this.#marks.begin : this.#marks.text).find(text, final);
    if (found === undefined || !this.#out.fresh || withoutControls(text.slice(0, found.at)).trim() === "") return found;
    // After text, markers that count only at the start no longer apply.
    return this.#marks.text.find(text, final);
  }

  /** Parses a line that names the message's recipient. */
  #addressee(text: string): CallBeginning & { readonly tool: string } {
    const line = text.trim();
    const between = textOf(this.#dialect.call?.between ?? []);
    return { with: "arguments", tool: line.startsWith(between) ? line.slice(between.length) : line };
  }

  #thought(meaning: Meaning, final: boolean): boolean {
    if (!this.#hasRest()) return false;
    const found = this.#marks.inThought.find(this.#rest, final);
    if (found?.end === undefined) {
      const sendable = this.#rest.slice(0, found?.at);
      this.#rest = this.#rest.slice(sendable.length);
      this.#out.thought(sendable, meaning);
      return false;
    }
    const before = this.#rest.slice(0, found.at);
    if (found.kind === "call") {
      const rest = this.#rest.slice(found.end);
      if (this.#countsInThought(before)) {
        this.#out.thought(before, meaning);
        return this.#beginCall(rest);
      }
      this.#out.thought(this.#rest.slice(0, found.end), meaning);
      this.#rest = rest;
      return true;
    }
    this.#out.thought(before, meaning);
    this.#out.dropSpace();
    this.#out.endThought(found.kind === "close");
    if (found.kind === "end") return this.#end({ kind: "end", text: "" }, meaning);
    this.#rest = this.#rest.slice(found.kind === "message" ? found.at : found.end);
    this.#enter(this.#dialect.channels === undefined ? "text" : "header", this.#rest);
    return true;
  }

  /** The header announces a thought, a call or text. */
  #header(): boolean {
    const header = this.#headers?.read(this.#rest) ?? { kind: "none" };
    switch (header.kind) {
      case "waits":
        this.#addressed = header.addressed;
        return false;
      case "closed":
        this.#rest = header.rest;
        return true;
      case "call":
        this.#caller?.beginInput(header.name, header.body);
        this.#enterCall({ with: "arguments", tool: header.name });
        return true;
      case "thought":
        this.#enter("thought", header.body);
        return true;
      case "none": // A model that omits the header means text.
      case "text":
        this.#enter("text", header.kind === "text" ? header.body : this.#rest);
        this.#dropSpace = false;
        return true;
    }
  }

  #call(meaning: Meaning, final: boolean): boolean {
    const caller = this.#caller as CallParser;
    caller.rest += this.#rest;
    if (this.#bare !== undefined) this.#bare += this.#rest;
    this.#rest = "";
    const take = (name: string, input: JsonObject): void => {
      this.#bare = undefined;
      this.#out.release(meaning);
      meaning.call(name, input);
    };
    switch (caller.advance(take, final)) {
      case "waits":
        return false;
      case "goes on":
        return true;
      case "over":
        this.#out.dropSpace();
        this.#enter(this.#dialect.channels === undefined ? "text" : "header", caller.rest);
        return true;
      case "unreadable":
        if (this.#marks.marker !== "") {
          this.#state = "over";
          meaning.malformed();
          return false;
        }
        this.#leaveCall(this.#bare ?? caller.rest);
        return true;
    }
  }

  /** Continues as text: the object was not a call. */
  #leaveCall(rest: string): void {
    this.#enter("text", rest);
    this.#out.fresh = false;
    this.#dropSpace = false;
  }

  #beginCall(rest: string, begun: CallBeginning = BY_MARKER): boolean {
    if (this.#marks.marker !== "") this.#out.dropSpace();
    else this.#bare = rest;
    this.#caller?.begin(rest);
    this.#enterCall(begun);
    return true;
  }

  #enterCall(begun: CallBeginning): void {
    this.#enter("call", "");
    this.#begun = begun;
  }

  #enter(state: State, rest: string): void {
    this.#state = state;
    this.#begun = undefined;
    this.#addressed = false;
    this.#rest = rest;
    this.#out.fresh = true;
    this.#dropSpace = true;
  }

  #end(ending: Ending, meaning: Meaning): boolean {
    this.#out.release(meaning);
    this.#ended = ending;
    this.#state = "over";
    this.#rest = "";
    return false;
  }

  /** Whether unparsed text remains, after dropping the template's whitespace. */
  #hasRest(): boolean {
    if (this.#dropSpace) this.#rest = this.#rest.trimStart();
    if (this.#rest !== "") this.#dropSpace = false;
    return this.#rest !== "";
  }

  /** Whether a marker in a thought begins a call: mid-line it is a quotation, unless it is a control token. */
  #countsInThought(before: string): boolean {
    return beginsWithControl(this.#marks.marker) || this.#out.beginsLine(before);
  }
}
