/**
 * From the text a model generates to what it means: text, thoughts, calls. Driven by the template's dialect. What might
 * be the beginning of a marker is held back, so that no part of one is ever sent, wherever the text is cut. Control
 * tokens come as `controlText`; those that are part of no marker are dropped.
 */
import type { JsonObject } from "../../inference/backend.ts";
import { type CallableTools, CallParser, innerMarker } from "./call_parser.ts";
import type { Dialect } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { HeaderReader } from "./message_header.ts";
import { beginsWithControl, type Found, Watch, withoutControls } from "./text.ts";

/** Takes what a text means. */
export interface Meaning {
  text(text: string): void;
  thinking(text: string): void;
  call(name: string, input: JsonObject): void;
  /** What was sent as text so far was a thought whose beginning was forgotten. */
  textWasThought(): void;
  /** A call that cannot be read; the last that is heard. */
  malformed(): void;
}

/** What the prompt ended within. */
export type ParserStart = "text" | "thought" | "header";

/** What a call was known by. */
export interface CallBeginning {
  /**
   * Its marker, the token that each call of a section begins with, all that stands before a name, or a header that has
   * the name.
   */
  readonly with: "marker" | "call" | "name" | "arguments";
  /** The name, where it came. */
  readonly tool?: string;
}

/** A text that would begin a call. */
export interface TextBeginsCall extends CallBeginning {
  /** What of it comes after the beginning. */
  readonly rest: string;
}

/** How to read an answer. */
export interface ParserOptions {
  readonly dialect: Dialect;
  readonly start: ParserStart;
  /**
   * `read`: calls are read; `first`: only where no text came before; `hold`: their beginning is held back, but is text;
   * `ignore`: they are text.
   */
  readonly calls: "read" | "first" | "hold" | "ignore";
  /** What may be called. */
  readonly tools: CallableTools;
  /** Texts that end the answer because the caller wants that; they count in text only. */
  readonly stop: readonly string[];
  /** Texts that end the answer because the template says so. */
  readonly ends: readonly string[];
}

type Kind =
  | "stop"
  | "end"
  | "thought"
  | "call"
  | "unmarked"
  | "message"
  | "close"
  | "frame"
  | "stray"
  | "recipient"
  | "inner";
type State = "text" | "thought" | "header" | "call" | "over";

const BY_MARKER: CallBeginning = { with: "marker" };
const BY_CALL: CallBeginning = { with: "call" };
const BY_NAME: CallBeginning = { with: "name" };

/** How a marker looks that closes thoughts alone. */
const THOUGHT = /think|thought|reason|channel|inner/i;
/** Text behind a thought that ended at once is held so long: it may be the thought. */
const MOST_SUSPECTED = 4000;

/** Reads one answer. */
export class Parser {
  readonly #dialect: Dialect;
  readonly #calls: ParserOptions["calls"];
  readonly #caller: CallParser | undefined;
  /** Begins a call; empty where it is nothing but JSON, which then begins with one of the leads. */
  readonly #marker: string;
  /** Begins a call where its marker was forgotten; empty where nothing does. */
  readonly #unmarked: string;
  /** Begins each call of a section, also where the section was not begun; empty where nothing does. */
  readonly #inner: string;
  readonly #leads: readonly string[];
  readonly #headers: HeaderReader | undefined;
  readonly #startWatch: Watch<Kind>;
  readonly #textWatch: Watch<Kind>;
  readonly #thoughtWatch: Watch<Kind>;
  /** What tells that a text behind an empty thought is the thought. */
  readonly #suspectWatch: Watch<Kind>;
  readonly #holdsSpace: boolean;
  #state: State;
  /** What came and is not dealt with yet. */
  #rest = "";
  /** Space that is text only if text follows. */
  #space = "";
  /** No text came yet, since the beginning or since a thought or a call. */
  #fresh = true;
  /** What the call that comes was known by. */
  #begun: CallBeginning | undefined;
  /** A message's header has said that a call follows. */
  #addressed = false;
  /** Space is the template's until something else comes. */
  #dropSpace = false;
  #ended: "stop" | "end" | undefined;
  /** What closes a thought. */
  readonly thoughtClose: string | undefined;
  /** A thought was asked for and came to nothing: text is held here, until it is known to be text. */
  #suspected: string | undefined;
  /** Nothing came since the answer's beginning. */
  #untouched = true;

  constructor({ dialect, start, calls, tools, stop, ends }: ParserOptions) {
    const { thought, text: frames, call, channels } = dialect;
    this.#dialect = dialect;
    this.thoughtClose = thought === undefined ? undefined : textOf(thought.close);
    this.#caller = call === undefined ? undefined : new CallParser(call, tools);
    const object = call?.object;
    const key = `"${object === undefined || object === "keyed" ? "name" : object.name}":"`;
    this.#leads = [`{${key}`, `{"type":"function",${key}`];
    this.#calls = call === undefined ? "ignore" : calls;
    this.#marker = call === undefined ? "" : textOf(call.marker);
    this.#unmarked = this.#calls === "read" ? call?.unmarked ?? "" : "";
    this.#headers = channels === undefined
      ? undefined
      : new HeaderReader({ channels, marker: this.#marker, calls: this.#reads, tools });
    const watches = (kind: Kind, texts: readonly string[]): [string, Kind][] => texts.map((text) => [text, kind]);
    // What the template writes comes before what the caller looks for: it may hold a stop string.
    const always = [
      ...watches("end", ends),
      ...watches("message", channels === undefined ? [] : [channels.start]),
      ...watches("close", channels === undefined ? [] : [channels.close]),
    ];
    const inChannels = channels !== undefined;
    const open = thought?.open === undefined || inChannels ? [] : [textOf(thought.open)];
    const close = thought === undefined ? [] : [textOf(thought.close)];
    const marker = this.#calls === "ignore" || inChannels ? [] : [this.#marker];
    const unmarked = watches("unmarked", [this.#unmarked]);
    const stops = watches("stop", stop);
    const opens = inChannels ? [] : frames?.opens.map(textOf) ?? [];
    const closes = inChannels ? [] : frames?.closes.map(textOf) ?? [];
    // What closes thoughts alone tells that a thought came before it.
    // Where it is no token it may be spoken of, but not at the end of a line.
    const own = inChannels ? [] : close.filter((text) => THOUGHT.test(text));
    const strays = own.map((text) => beginsWithControl(text) ? text : `${text}\n`);
    closes.push(...(inChannels ? [] : close.filter((text) => !THOUGHT.test(text))));
    if (call !== undefined && call.sectionOpen.length === 0 && call.between.some((part) => typeof part === "object")) {
      closes.push(textOf(call.between));
    }
    const recipients = call?.recipient && this.#reads ? [...tools.keys()].map((name) => `${name}\n`) : [];
    const between = call === undefined ? "" : textOf(call.between);
    const addressed = recipients.map((line) => between + line);
    if (call?.recipient) opens.push(...opens.map((text) => between + text));
    this.#inner = call === undefined || !this.#reads ? "" : innerMarker(call);
    const inner = watches("inner", [this.#inner]);
    // A marker that may be a word of the text counts only where a message begins.
    const spoken = marker.filter((text) => !/[<[\uFFFE\uFDD0]/.test(text));
    this.#textWatch = new Watch([
      // A control token is never spoken of, so it means the same wherever it comes.
      ...watches("thought", open.filter(beginsWithControl)),
      ...watches("recipient", addressed),
      ...watches("call", this.#calls === "first" ? [] : marker.filter((text) => !spoken.includes(text))),
      ...inner,
      ...unmarked,
      ...watches("stray", strays),
      ...watches("frame", [...closes, ...(call?.recipient ? opens.filter((text) => text.startsWith(between)) : [])]),
      ...always,
      ...stops,
    ]);
    this.#suspectWatch = new Watch(watches("stray", own));
    this.#startWatch = new Watch([
      ...watches("thought", open),
      ...watches("frame", [...opens, ...closes].sort((a, b) => b.length - a.length)),
      ...watches("close", inChannels ? [] : close),
      ...watches("recipient", [...addressed, ...recipients]),
      ...watches("call", marker),
      ...inner,
      ...unmarked,
      ...always,
      ...stops,
    ]);
    this.#thoughtWatch = new Watch([
      ...watches("close", close),
      // Models forget to end a thought before they call. Where a marker is no token, it is too easily spoken of.
      ...watches("call", this.#reads && typeof call?.marker[0] === "object" ? marker : []),
      ...watches("end", ends),
      ...watches("message", channels === undefined ? [] : [channels.start]),
    ]);
    this.#holdsSpace = this.#calls === "read" && this.#marker !== "" && channels === undefined;
    this.#state = start;
    this.#dropSpace = start === "thought";
  }

  /** The model is thinking. */
  get thinking(): boolean {
    return this.#state === "thought";
  }

  /** The model is writing a call: what it was known by. */
  get callBegun(): CallBeginning | undefined {
    if (this.#state === "call") return this.#begun;
    return this.#addressed ? BY_MARKER : undefined;
  }

  /** The answer ended in itself: at a stop string, or as the template ends one. Nothing is read any more. */
  get ended(): "stop" | "end" | undefined {
    return this.#ended;
  }

  /** Take more of the text. */
  push(text: string, meaning: Meaning): void {
    if (text === "") return;
    if (
      this.#state === "text" && this.#rest === "" && !this.#fresh && !this.#holdsSpace &&
      this.#suspected === undefined && !this.#textWatch.mayBegin(text)
    ) {
      return meaning.text(text);
    }
    this.#rest += text;
    while (this.#advance(meaning, false));
    if ((this.#suspected?.length ?? 0) > MOST_SUSPECTED) this.#release(meaning);
  }

  /**
   * The text is over.
   *
   * @param cut It was not the model that ended it: what is not whole is dropped.
   */
  finish(cut: boolean, meaning: Meaning): void {
    while (this.#advance(meaning, !cut || this.#state !== "call"));
    // An object that did not become a call; what was to become one and was cut is nothing.
    const isText = this.#marker === "" && (!cut || this.#calls === "first");
    if (this.#state === "call" && this.#caller?.whole === false && isText) {
      this.#leaveCall(this.#caller.rest);
      while (this.#advance(meaning, true));
    }
    const state = this.#state;
    this.#state = "over";
    this.#rest = "";
    if (state === "text") {
      this.#sendSpace(meaning);
      this.#release(meaning);
    } else if (state === "call" && this.#caller?.whole === false && !cut) {
      meaning.malformed();
    }
  }

  /**
   * Whether a text, if it came next, would begin a call.
   *
   * @returns How it would, and what comes after; `undefined` if none would begin.
   */
  beginsCall(text: string): TextBeginsCall | undefined {
    if (this.#caller === undefined) return undefined;
    const joined = this.#rest + text;
    const after = (end: number, begun: CallBeginning = BY_MARKER): TextBeginsCall | undefined =>
      end < 0 ? undefined : { ...begun, rest: joined.slice(end) };
    const { channels, call } = this.#dialect;
    if (channels !== undefined) {
      return this.#state === "header" && !this.#addressed ? after(endOf(joined, this.#marker)) : undefined;
    }
    if (this.#state === "thought") {
      const found = this.#thoughtWatch.find(joined);
      return found?.kind === "call" && this.#countsInThought(joined.slice(0, found.at)) ? after(found.end) : undefined;
    }
    if (this.#state !== "text") return undefined;
    if (call?.recipient) {
      const found = this.#atStart(joined);
      return found?.kind === "recipient"
        ? after(found.end, this.#addressee(joined.slice(found.at, found.end)))
        : undefined;
    }
    if (this.#marker === "") {
      if (!this.#fresh) return undefined;
      const found = compact(withoutControls(joined));
      const lead = this.#leads.find((lead) => found.startsWith(lead));
      return lead === undefined ? undefined : { ...BY_MARKER, rest: afterCompact(joined, lead.length) };
    }
    const end = this.#calls !== "first" || this.#fresh ? endOf(joined, this.#marker) : -1;
    if (end >= 0) return after(end);
    const inner = this.#inner === "" ? -1 : endOf(joined, this.#inner);
    if (inner >= 0) return after(inner, BY_CALL);
    const at = this.#unmarked === "" ? -1 : joined.indexOf(this.#unmarked);
    return at >= 0 && this.#beginsLine(joined.slice(0, at)) ? after(at + this.#unmarked.length, BY_NAME) : undefined;
  }

  /** @returns Whether there may be more to do. */
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
    if (this.#dropSpace) {
      this.#rest = this.#rest.trimStart();
      if (this.#rest !== "") this.#dropSpace = false;
    }
    if (this.#rest === "") return false;
    if (
      this.#fresh && this.#marker === "" && !this.#dialect.call?.recipient &&
      (this.#calls === "read" || this.#calls === "first")
    ) {
      const found = compact(withoutControls(this.#rest));
      if (this.#leads.some((lead) => found.startsWith(lead))) {
        const at = this.#rest.indexOf("{");
        this.#space += withoutControls(this.#rest.slice(0, at));
        return this.#beginCall(this.#rest.slice(at));
      }
      if (found !== "" && !final && this.#leads.some((lead) => lead.startsWith(found))) return false;
    }
    let found = this.#atStart(this.#rest, final);
    if (this.#suspected !== undefined && !this.#fresh) {
      const stray = this.#suspectWatch.find(this.#rest, final);
      if (stray !== undefined && stray.at <= (found?.at ?? Infinity)) found = stray;
    }
    if (found?.end === undefined) {
      const sendable = this.#rest.slice(0, found?.at);
      this.#rest = this.#rest.slice(sendable.length);
      this.#sendText(sendable, meaning);
      return false;
    }
    const before = this.#rest.slice(0, found.at);
    const after = this.#rest.slice(found.end);
    switch (found.kind) {
      case "stop":
      case "end":
        this.#sendText(before, meaning);
        this.#sendSpace(meaning);
        return this.#end(found.kind, meaning);
      case "thought":
        this.#sendText(before, meaning);
        if (!this.#fresh) this.#sendSpace(meaning);
        this.#space = "";
        this.#enter("thought", after);
        return true;
      case "unmarked":
        if (!this.#beginsLine(before)) {
          this.#sendText(this.#rest.slice(0, found.end), meaning);
          this.#rest = after;
          return true;
        }
        this.#sendText(before, meaning);
        this.#beginCall("", BY_NAME);
        this.#caller?.beginName(after);
        return true;
      case "call":
        if (this.#calls === "hold") {
          this.#sendText(this.#rest.slice(0, found.end), meaning);
          this.#rest = after;
          return true;
        }
        this.#sendText(before, meaning);
        return this.#beginCall(after);
      case "inner":
        this.#sendText(before, meaning);
        this.#space = "";
        this.#caller?.beginCall(after);
        this.#enterCall(BY_CALL);
        return true;
      case "frame":
        this.#sendText(before, meaning);
        this.#enter("text", after);
        return true;
      case "recipient": {
        this.#sendText(before, meaning);
        const begun = this.#addressee(this.#rest.slice(found.at, found.end));
        this.#caller?.beginInput(begun.tool, after);
        this.#enterCall(begun);
        return true;
      }
      case "stray":
        this.#sendText(before, meaning);
        this.#space = "";
        if (this.#suspected !== undefined) {
          meaning.thinking(this.#suspected);
          this.#suspected = undefined;
        } else {
          meaning.textWasThought();
        }
        this.#enter("text", after);
        return true;
      case "message":
      case "close":
        if (this.#dialect.channels === undefined) {
          // Of a thought that was never begun, or ended with a call.
          this.#space = "";
          this.#enter("text", after);
          return true;
        }
        this.#sendText(before, meaning);
        this.#enter("header", found.kind === "close" ? after : this.#rest.slice(found.at));
        return true;
    }
  }

  /** What is found in a text that comes next. */
  #atStart(text: string, final = false): Found<Kind> | undefined {
    const found = (this.#fresh ? this.#startWatch : this.#textWatch).find(text, final);
    if (found === undefined || !this.#fresh || withoutControls(text.slice(0, found.at)).trim() === "") return found;
    // Text comes first: what counts only at the beginning does not count any more.
    return this.#textWatch.find(text, final);
  }

  /** A line that says whom a message is for. */
  #addressee(text: string): CallBeginning & { readonly tool: string } {
    const line = text.trim();
    const between = textOf(this.#dialect.call?.between ?? []);
    return { with: "arguments", tool: line.startsWith(between) ? line.slice(between.length) : line };
  }

  #thought(meaning: Meaning, final: boolean): boolean {
    if (this.#dropSpace) {
      this.#rest = this.#rest.trimStart();
      if (this.#rest !== "") this.#dropSpace = false;
    }
    if (this.#rest === "") return false;
    const found = this.#thoughtWatch.find(this.#rest, final);
    if (found?.end === undefined) {
      const sendable = this.#rest.slice(0, found?.at);
      this.#rest = this.#rest.slice(sendable.length);
      this.#sendThought(sendable, meaning);
      return false;
    }
    const before = this.#rest.slice(0, found.at);
    if (found.kind === "call") {
      const rest = this.#rest.slice(found.end);
      if (this.#countsInThought(before)) {
        this.#sendThought(before, meaning);
        return this.#beginCall(rest);
      }
      this.#sendThought(this.#rest.slice(0, found.end), meaning);
      this.#rest = rest;
      return true;
    }
    this.#sendThought(before, meaning);
    this.#space = "";
    if (found.kind === "close" && this.#untouched && this.#fresh) this.#suspected = "";
    this.#untouched = false;
    if (found.kind === "end") return this.#end("end", meaning);
    const after = this.#rest.slice(found.kind === "message" ? found.at : found.end);
    this.#enter(this.#dialect.channels === undefined ? "text" : "header", after);
    return true;
  }

  /** A message's header says whether a thought, a call or text follows. */
  #header(): boolean {
    const header = this.#headers?.read(this.#rest) ?? { kind: "none" };
    switch (header.kind) {
      case "waits":
        this.#addressed = header.addressed;
        return false;
      case "closed":
        this.#rest = header.rest;
        return true;
      case "none":
        // A model that forgets headers means text.
        this.#enter("text", this.#rest);
        this.#dropSpace = false;
        return true;
      case "call":
        this.#caller?.beginInput(header.name, header.body);
        this.#enterCall({ with: "arguments", tool: header.name });
        return true;
      case "thought":
        this.#enter("thought", header.body);
        return true;
      case "text":
        this.#enter("text", header.body);
        this.#dropSpace = false;
        return true;
    }
  }

  #call(meaning: Meaning, final: boolean): boolean {
    const caller = this.#caller as CallParser;
    caller.rest += this.#rest;
    this.#rest = "";
    const take = (name: string, input: JsonObject): void => {
      this.#release(meaning);
      meaning.call(name, input);
    };
    switch (caller.advance(take, final)) {
      case "waits":
        return false;
      case "goes on":
        return true;
      case "over":
        this.#space = "";
        this.#enter(this.#dialect.channels === undefined ? "text" : "header", caller.rest);
        return true;
      case "unreadable":
        if (this.#marker !== "") {
          this.#state = "over";
          meaning.malformed();
          return false;
        }
        this.#leaveCall(caller.rest);
        return true;
    }
  }

  /** It is an object like any other. */
  #leaveCall(rest: string): void {
    this.#enter("text", rest);
    this.#fresh = false;
    this.#dropSpace = false;
  }

  #beginCall(rest: string, begun: CallBeginning = BY_MARKER): boolean {
    if (this.#marker !== "") this.#space = "";
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
    this.#fresh = true;
    this.#dropSpace = true;
  }

  #end(kind: "stop" | "end", meaning: Meaning): boolean {
    this.#release(meaning);
    this.#ended = kind;
    this.#state = "over";
    this.#rest = "";
    return false;
  }

  #sendText(text: string, meaning: Meaning): void {
    const sendable = this.#space + withoutControls(text);
    const body = this.#fresh && sendable.trim() === "" ? "" : this.#holdsSpace ? sendable.trimEnd() : sendable;
    this.#space = sendable.slice(body.length);
    if (body === "") return;
    this.#fresh = false;
    this.#untouched = false;
    this.#say(body, meaning);
  }

  #sendSpace(meaning: Meaning): void {
    if (this.#space !== "") this.#say(this.#space, meaning);
    this.#space = "";
  }

  #say(text: string, meaning: Meaning): void {
    if (this.#suspected === undefined) meaning.text(text);
    else this.#suspected += text;
  }

  /** What was held is text. */
  #release(meaning: Meaning): void {
    if (this.#suspected === undefined) return;
    if (this.#suspected !== "") meaning.text(this.#suspected);
    this.#suspected = undefined;
  }

  #sendThought(text: string, meaning: Meaning): void {
    const sendable = this.#space + withoutControls(text);
    const body = sendable.trimEnd();
    this.#space = sendable.slice(body.length);
    if (body === "") return;
    this.#fresh = false;
    meaning.thinking(body);
  }

  /** Calls are read at all. */
  get #reads(): boolean {
    const begins = this.#marker !== "" || this.#dialect.call?.recipient === true;
    return begins && (this.#calls === "read" || this.#calls === "first");
  }

  /** Whether a marker in a thought begins a call: in the middle of a line it is spoken of, unless it is a control token. */
  #countsInThought(before: string): boolean {
    return beginsWithControl(this.#marker) || this.#beginsLine(before);
  }

  /** Whether a line begins after this, which follows what was sent. */
  #beginsLine(before: string): boolean {
    const text = withoutControls(this.#space + before);
    const shown = text.trimEnd();
    return text.includes("\n", shown.length) || shown === "" && this.#fresh;
  }
}

function endOf(text: string, marker: string): number {
  const at = text.indexOf(marker);
  return at < 0 ? -1 : at + marker.length;
}

function compact(text: string): string {
  return text.replace(/\s+/g, "");
}

/** What comes after so many characters that are no space. */
function afterCompact(text: string, length: number): string {
  let at = 0;
  for (let left = length; left > 0; at++) if (text.charAt(at).trim() !== "") left--;
  return text.slice(at);
}
