/** Escapes control characters, for terminals and for the log file, which people read on terminals. */

/**
 * Control characters other than line breaks and tabs, and characters that affect text direction (Unicode's
 * Bidi_Control, and the deprecated ones next to them) or line breaks.
 */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]/g;

/** @returns The text with JSON escapes such as `\u001b`; line breaks and tabs stay. */
export function spellControls(text: string): string {
  return text.replace(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
