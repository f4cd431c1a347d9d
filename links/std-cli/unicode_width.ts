/** What takes no column: combining marks, joiners and other format characters, controls. */
const ZERO = /[\p{M}\p{Cf}\p{Cc}\u200b]/u;
/** What takes two: East Asian wide and fullwidth characters, and what is shown as an emoji. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;

/** How many columns a terminal takes for a text; the real one has Unicode's table. */
export function unicodeWidth(str: string): number {
  let width = 0;
  for (const character of str) width += ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}
