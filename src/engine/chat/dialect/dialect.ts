/**
 * How a model family writes an answer: thoughts, text and calls. Detected by rendering the chat template
 * (`thought_form.ts`, `call_form.ts`); used by the answer parser and by the grammars that constrain answers.
 */
import type { JsonType } from "../../../inference/request.ts";
import type { Marker } from "./marker.ts";

export type { JsonType };

export interface ThoughtForm {
  /** Absent if only the prompt opens a trace. */
  readonly open?: Marker;
  readonly close: Marker;
}

/** Markers that may surround the answer's text without being part of it. */
export interface TextFrame {
  readonly opens: readonly Marker[];
  readonly closes: readonly Marker[];
}

/** A component of a call's syntax. */
export type CallPart =
  | { readonly type: "text"; readonly text: Marker }
  | { readonly type: "name" }
  /** The call's id, chosen by the model. */
  | { readonly type: "id" }
  /** Running number of the call. */
  | { readonly type: "index" };

/** Syntax of an argument value that is not raw text. */
export type ValueStyle = "json" | "python";

/** Separator between an argument's name and its value, for values of these JSON types. */
export interface AfterKey {
  readonly types: readonly JsonType[];
  readonly text: Marker;
}

export type ArgumentsForm =
  | { readonly type: "json" }
  /** One element per argument; strings are raw, other values JSON or Python literals. */
  | {
    readonly type: "elements";
    readonly open: Marker;
    readonly afterKey: readonly AfterKey[];
    readonly close: Marker;
    readonly between: Marker;
    readonly style: ValueStyle;
  }
  /** Keyword arguments of a Python call, in parentheses. */
  | { readonly type: "python"; readonly quote: string }
  /** Gemma's notation, in braces: bare keys and custom quotes. */
  | { readonly type: "gemma"; readonly quote: Marker }
  /** One element named after each argument, with nested elements for nested values (MiniMax M3). */
  | { readonly type: "nested"; readonly open: Marker; readonly close: Marker };

export interface CallForm {
  /** Begins the first call or the call section; empty if calls are bare: JSON, or a Python list. */
  readonly marker: Marker;
  /** Text after the marker that identifies a call by itself; models sometimes omit the marker. */
  readonly unmarked?: string;
  readonly sectionOpen: Marker;
  /** From the start of a call to its arguments. */
  readonly head: readonly CallPart[];
  readonly arguments: ArgumentsForm;
  /** From the arguments to the end of the call. */
  readonly tail: readonly CallPart[];
  readonly between: Marker;
  readonly sectionClose: Marker;
  /** Whether an answer may hold several calls. */
  readonly several: boolean;
  /** Set if the call is one JSON object: its keys, or "keyed" if the tool's name is the only key. */
  readonly object?: { readonly name: string; readonly input: string } | "keyed";
  /** The name is a line of its own, preceded by the separator (Functionary). */
  readonly recipient?: boolean;
  readonly sorted?: boolean;
  /** Optional key of a call object that holds the call's id. */
  readonly optionalId?: string;
  readonly ids: IdForm;
}

/**
 * Formats of call ids: unchanged, nine alphanumeric characters, or function name plus a number that counts through the
 * conversation (`numbered`) or through one message (`renumbered`).
 */
export type IdForm = "any" | "short" | "numbered" | "renumbered";

/** Messages with a header that names their channel (gpt-oss). */
export interface ChannelForm {
  readonly start: string;
  /** Precedes the channel's name. */
  readonly channel: string;
  readonly body: string;
  readonly close: string;
  /** Name of the channel for thoughts. */
  readonly thought: string;
  /** Markers for grammars: header of an answer, start of a further message, and the model's own call syntax. */
  readonly write: {
    readonly final: Marker;
    readonly start: Marker;
    readonly call: Marker;
    readonly afterName: readonly Marker[];
  };
}

/** How a model family writes thoughts, text and calls. */
export interface Dialect {
  readonly thought?: ThoughtForm;
  readonly text?: TextFrame;
  readonly call?: CallForm;
  readonly channels?: ChannelForm;
}

/** Section of the answer that the prompt leaves open; the parser's initial state. */
export type ParserStart = "text" | "thought" | "header";
