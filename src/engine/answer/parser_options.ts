/** Options of the answer parser, and the interface it reports to. */
import type { JsonObject } from "../../inference/request.ts";
import type { Dialect, ParserStart } from "../chat/dialect/dialect.ts";
import type { CallableTools } from "./call_parser.ts";

export interface Meaning {
  text(text: string): void;
  thinking(text: string): void;
  call(name: string, input: JsonObject): void;
  /** The text sent so far was a thought whose opening marker is missing. */
  textWasThought(): void;
  /** A call cannot be parsed; nothing follows. */
  malformed(): void;
}

/** What ended an answer, as the parser sees it. */
export interface Ending {
  readonly kind: "stop" | "end";
  /** The stop string. */
  readonly text: string;
}

/** How a call was recognised. */
export interface CallBeginning {
  /**
   * By its marker, by the token that begins each call of a section, by everything before the name, or by a header with
   * the name.
   */
  readonly with: "marker" | "call" | "name" | "arguments";
  readonly tool?: string;
}

export const BY_MARKER: CallBeginning = { with: "marker" };
export const BY_CALL: CallBeginning = { with: "call" };
export const BY_NAME: CallBeginning = { with: "name" };

export interface TextBeginsCall extends CallBeginning {
  /** The text after the beginning. */
  readonly rest: string;
}

export interface ParserOptions {
  readonly dialect: Dialect;
  readonly start: ParserStart;
  /**
   * `read`: parse calls; `first`: only before any text; `hold`: treat calls as text, but hold their beginning back;
   * `ignore`: treat calls as text.
   */
  readonly calls: "read" | "first" | "hold" | "ignore";
  readonly tools: CallableTools;
  /** Stop strings of the caller; they count only in text. */
  readonly stop: readonly string[];
  /** End strings of the template. */
  readonly ends: readonly string[];
}
