/** How the parser sees special tokens: their names, wrapped in Unicode noncharacters that never occur in text. */

/** Delimit a control token's name, so that text that spells the name is not mistaken for the token. */
export const CONTROL_BEGIN = "\uFFFE";
export const CONTROL_END = "\uFFFF";
/** Delimit a token that is a marker to the parser but plain text to the reader of the answer. */
export const TAG_BEGIN = "\uFDD0";
export const TAG_END = "\uFDD1";
const CONTROL = /\uFFFE[^\uFFFF]*\uFFFF|[\uFDD0\uFDD1]/g;
const WRAPPED = /[\uFFFE\uFFFF\uFDD0\uFDD1]/;
const WRAPPINGS = /[\uFFFE\uFFFF\uFDD0\uFDD1]/g;

/** A control token in the text that the parser reads. */
export function controlText(name: string): string {
  return `${CONTROL_BEGIN}${name}${CONTROL_END}`;
}

/** A token that is a marker to the parser and plain text to everything else. */
export function tagText(name: string): string {
  return `${TAG_BEGIN}${name}${TAG_END}`;
}

export function beginsWithControl(text: string): boolean {
  return text.startsWith(CONTROL_BEGIN) || text.startsWith(TAG_BEGIN);
}

/** Text for the reader of the answer: control tokens removed, other special tokens as their names. */
export function withoutControls(text: string): string {
  return WRAPPED.test(text) ? text.replace(CONTROL, "") : text;
}

/** The same, but with control tokens as their names. */
export function withControlNames(text: string): string {
  return WRAPPED.test(text) ? text.replace(WRAPPINGS, "") : text;
}
