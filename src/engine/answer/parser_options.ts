/** Options of the parser of answers, and the interface it reports to. */
import type { JsonObject } from "../../inference/request.ts";
import type { Dialect, ParserStart } from "../chat/dialect/dialect.ts";
import type { CallableTools } from "./call_parser.ts";

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

/** What a call was known by. */
export interface CallBeginning {
  /**
   * Its marker, the token that each call of a section begins with, everything before a name, or a header that has
   * the name.
   */
  readonly with: "marker" | "call" | "name" | "arguments";
  /** The name, where it came. */
  readonly tool?: string;
}

export const BY_MARKER: CallBeginning = { with: "marker" };
export const BY_CALL: CallBeginning = { with: "call" };
export const BY_NAME: CallBeginning = { with: "name" };

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
