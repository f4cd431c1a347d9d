/**
 * How a parser sees tokens that are more than text: their names, wrapped in characters that no text has.
 */

/** Stand around the name of a control token, so that text that spells the name is not taken for the token. */
export const CONTROL_BEGIN = "\uFFFE";
export const CONTROL_END = "\uFFFF";
/** Stand around the name of a token that is text to the reader of the answer unless it is part of a marker. */
export const TAG_BEGIN = "\uFDD0";
export const TAG_END = "\uFDD1";
const CONTROL = /\uFFFE[^\uFFFF]*\uFFFF|[\uFDD0\uFDD1]/g;
const WRAPPED = /[\uFFFE\uFFFF\uFDD0\uFDD1]/;
const WRAPPINGS = /[\uFFFE\uFFFF\uFDD0\uFDD1]/g;

/** How a control token is written in the text that a parser reads. */
export function controlText(name: string): string {
  return `${CONTROL_BEGIN}${name}${CONTROL_END}`;
}

/** How a token is written that is a marker to a parser and text to everything else. */
export function tagText(name: string): string {
  return `${TAG_BEGIN}${name}${TAG_END}`;
}

/** Whether a text begins with a control token. */
export function beginsWithControl(text: string): boolean {
  return text.startsWith(CONTROL_BEGIN) || text.startsWith(TAG_BEGIN);
}

/** What a reader of the answer sees: no control tokens, and the names of other tokens. */
export function withoutControls(text: string): string {
  return WRAPPED.test(text) ? text.replace(CONTROL, "") : text;
}

/** The same with control tokens as their names. */
export function withControlNames(text: string): string {
  return WRAPPED.test(text) ? text.replace(WRAPPINGS, "") : text;
}
