/**
 * How a model's family writes an answer: thoughts, text and calls. It is read off the chat template by rendering
 * (`thought_form.ts`, `call_form.ts`), and serves the parser of answers and the grammars that bind them.
 */
import type { JsonType } from "../../../inference/request.ts";
import type { Marker } from "./marker.ts";

export type { JsonType };

/** How a reasoning trace is written. */
export interface ThoughtForm {
  /** Absent where only the prompt opens one. */
  readonly open?: Marker;
  readonly close: Marker;
}

/** What may surround the text of an answer without being part of it. */
export interface TextFrame {
  readonly opens: readonly Marker[];
  readonly closes: readonly Marker[];
}

/** A part of what a call is written with. */
export type CallPart =
  | { readonly type: "text"; readonly text: Marker }
  | { readonly type: "name" }
  /** The call's id, which the model invents. */
  | { readonly type: "id" }
  /** Counts the calls. */
  | { readonly type: "index" };

/** How the value of an argument is written unless it is raw text. */
export type ValueStyle = "json" | "python";

/** What comes between an argument's name and its value, by the JSON type of the value where that makes a difference. */
export interface AfterKey {
  readonly types: readonly JsonType[];
  readonly text: Marker;
}

/** How the arguments of a call are written. */
export type ArgumentsForm =
  /** A JSON object. */
  | { readonly type: "json" }
  /** An element for each argument; strings are raw, everything else is JSON or a Python literal. */
  | {
    readonly type: "elements";
    readonly open: Marker;
    readonly afterKey: readonly AfterKey[];
    readonly close: Marker;
    readonly between: Marker;
    readonly style: ValueStyle;
  }
  /** Keyword arguments of a Python call, within parentheses. */
  | { readonly type: "python"; readonly quote: string }
  /** Gemma's notation, within braces: bare keys, and quotes of its own. */
  | { readonly type: "gemma"; readonly quote: Marker }
  /** An element named after each argument, and elements within it (MiniMax M3). */
  | { readonly type: "nested"; readonly open: Marker; readonly close: Marker };

/** How calls are written. */
export interface CallForm {
  /** Begins the first call or the section of them; empty where a call is nothing but a JSON object. */
  readonly marker: Marker;
  /** Follows the marker and says itself that a call comes; models forget the marker before it. */
  readonly unmarked?: string;
  /** Before the first call. */
  readonly sectionOpen: Marker;
  /** From the beginning of a call to its arguments. */
  readonly head: readonly CallPart[];
  readonly arguments: ArgumentsForm;
  /** From the arguments to the end of the call. */
  readonly tail: readonly CallPart[];
  readonly between: Marker;
  /** After the last call. */
  readonly sectionClose: Marker;
  /** Several calls may come in one answer. */
  readonly several: boolean;
  /** The call is one JSON object; what its keys are, or that the name is the only key. */
  readonly object?: { readonly name: string; readonly input: string } | "keyed";
  /** The name is a line of its own, and what is between calls comes before it (Functionary). */
  readonly recipient?: boolean;
  /** Arguments are in alphabetical order. */
  readonly sorted?: boolean;
  /** A key that a call's object may have for its id. */
  readonly optionalId?: string;
  /** Which ids the family takes. */
  readonly ids: IdForm;
}

/**
 * Ids of calls: as they came, nine letters or digits, or the function's name with a number that runs through the
 * conversation, or through one message.
 */
export type IdForm = "any" | "short" | "numbered" | "renumbered";

/** Messages with a header that says what they are (gpt-oss). */
export interface ChannelForm {
  /** Begins a message. */
  readonly start: string;
  /** Comes before a channel's name. */
  readonly channel: string;
  /** Ends the header. */
  readonly body: string;
  /** Ends the message. */
  readonly close: string;
  /** The channel for thoughts. */
  readonly thought: string;
  /** What a grammar spells: the header of an answer, the beginning of a further message, and how models write calls. */
  readonly write: {
    readonly final: Marker;
    readonly start: Marker;
    readonly call: Marker;
    readonly afterName: readonly Marker[];
  };
}

/** A family's way with thoughts, text and calls. */
export interface Dialect {
  readonly thought?: ThoughtForm;
  readonly text?: TextFrame;
  readonly call?: CallForm;
  readonly channels?: ChannelForm;
}

/** What the prompt ended within, where the parser of the answer begins. */
export type ParserStart = "text" | "thought" | "header";
