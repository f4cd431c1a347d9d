/** What a terminal obeys in a text, spelt out. */

/** Every control character but line break and tab, and what changes the direction or the lines of text. */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Text with its control characters spelt out.
 *
 * @param text Text of strangers.
 * @returns With `\u001b`, as JSON has it, in the place of each; line breaks and tabs stay.
 */
export function spellControls(text: string): string {
  return text.replace(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
