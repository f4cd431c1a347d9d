/**
 * Cuts a template into tokens, with `trim_blocks` and `lstrip_blocks` on and `keep_trailing_newline` off, as chat
 * templates expect. White space that tags strip is gone from the tokens.
 */
import { TemplateError } from "../values/error.ts";
import { isSpace, SPACE } from "../values/text.ts";

/** A piece of a template. An operator's kind is its own text. */
export interface Token {
  readonly kind: string;
  /** Text, name, string without quotes, or digits. */
  readonly value: string;
  readonly line: number;
}

const RAW_BEGIN = new RegExp(`\\{%([-+]?)[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})`, "y");
const RAW_END = new RegExp(`\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\n?)`, "g");
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\n?`, "g");
const TAG_BEGIN = /\{[{%#]/g;
const TAGS: Readonly<Record<string, { readonly kind: string; readonly end: RegExp }>> = {
  "{%": { kind: "block", end: new RegExp(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\n?`, "y") },
  "{{": { kind: "variable", end: new RegExp(`-\\}\\}[${SPACE}]*|\\}\\}`, "y") },
};

const SPACES = new RegExp(`[${SPACE}]+`, "y");
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{ID_Continue}_]+/uy;
const IDENTIFIER = /^[\p{ID_Start}_]/u;
const STRING = /'[^'\\]*(?:\\[^][^'\\]*)*'|"[^"\\]*(?:\\[^][^"\\]*)*"/y;
const OPERATOR = /\/\/|\*\*|[=!<>]=|[-+/*%~[\](){}<>=.:|,;]/y;
const PARTNERS: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/**
 * @returns Its tokens; the last is `eof`.
 * @throws {TemplateError} If a tag, a comment, a string or a bracket is not closed, or a character means nothing.
 */
export function tokenize(template: string): Token[] {
  const source = template.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  /** Whether what comes next begins a line, as far as tags can tell. */
  let lineStarts = true;

  const fail = (message: string): never => {
    throw new TemplateError(message, line);
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const skip = (text: string): void => {
    at += text.length;
    for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) line++;
  };
  const add = (kind: string, text: string, value = text): void => {
    tokens.push({ kind, value, line });
    skip(text);
  };
  const addText = (text: string, sign: string, isOutput: boolean): void => {
    let kept = text;
    if (sign === "-") {
      let end = text.length;
      while (end > 0 && isSpace(text.charCodeAt(end - 1))) end--;
      kept = text.slice(0, end);
    } else if (sign !== "+" && !isOutput) {
      const start = text.lastIndexOf("\n") + 1;
      let end = text.length;
      while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
      if ((start > 0 || lineStarts) && end === start) kept = text.slice(0, start);
    }
    if (kept !== "") tokens.push({ kind: "data", value: kept, line });
    skip(text);
  };
  const skipComment = (): void => {
    COMMENT_END.lastIndex = at + 2;
    const end = COMMENT_END.exec(source);
    if (end === null) return fail("Missing end of comment tag");
    skip(source.slice(at, end.index + end[0].length));
    lineStarts = end[0].endsWith("\n");
  };
  const readRaw = (begin: string): void => {
    skip(begin);
    lineStarts = begin.endsWith("\n");
    RAW_END.lastIndex = at;
    const end = RAW_END.exec(source);
    if (end === null) return fail("Missing end of raw directive");
    addText(source.slice(at, end.index), end[1] as string, false);
    skip(end[0]);
    lineStarts = end[0].endsWith("\n");
  };
  const readTag = (opening: string, sign: string): void => {
    const { kind, end } = TAGS[opening] as { kind: string; end: RegExp };
    add(`${kind}_begin`, opening + sign);
    const brackets: string[] = [];
    while (true) {
      const closing = brackets.length === 0 ? match(end) : undefined;
      if (closing !== undefined) {
        add(`${kind}_end`, closing);
        lineStarts = closing.endsWith("\n");
        return;
      }
      if (at >= source.length) fail(`Unexpected end of template: the tag ${opening} is not closed`);
      readToken(brackets);
    }
  };
  const closeBracket = (text: string, expected: string | undefined): void => {
    if (text !== expected) fail(`Unexpected "${text}"${expected === undefined ? "" : `, expected "${expected}"`}`);
  };
  const readToken = (brackets: string[]): void => {
    let text = match(SPACES);
    if (text !== undefined) return skip(text);
    text = source[at - 1] === "." ? undefined : match(FLOAT);
    if (text !== undefined) return add("float", text, text.replaceAll("_", ""));
    text = match(INTEGER);
    if (text !== undefined) return add("integer", text, text.replaceAll("_", ""));
    text = match(NAME);
    if (text !== undefined) return IDENTIFIER.test(text) ? add("name", text) : fail(`Invalid name "${text}"`);
    text = match(STRING);
    if (text !== undefined) return add("string", text, unescape(text.slice(1, -1)));
    text = match(OPERATOR);
    if (text === undefined) {
      const [char = ""] = source.slice(at, at + 2);
      return fail(/['"]/.test(char) ? "A string is not closed" : `Unexpected character ${JSON.stringify(char)}`);
    }
    const partner = PARTNERS[text];
    if (partner !== undefined) brackets.push(partner);
    else if (/[)\]}]/.test(text)) closeBracket(text, brackets.pop());
    add(text, text);
  };

  while (at < source.length) {
    TAG_BEGIN.lastIndex = at;
    const tag = TAG_BEGIN.exec(source);
    if (tag === null) {
      add("data", source.slice(at));
      break;
    }
    const opening = tag[0];
    RAW_BEGIN.lastIndex = tag.index;
    const raw = RAW_BEGIN.exec(source);
    const sign = /[-+]/.exec(source[tag.index + 2] ?? "")?.[0] ?? "";
    addText(source.slice(at, tag.index), sign, opening === "{{");
    if (raw !== null) readRaw(raw[0]);
    else if (opening === "{#") skipComment();
    else readTag(opening, sign);
  }
  tokens.push({ kind: "eof", value: "", line });
  return tokens;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** What Python makes of the escapes in a string literal; unknown ones stay as they are. */
function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([^]))/g,
    (all, x?: string, u?: string, long?: string, octal?: string, char?: string) => {
      if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8));
      const hex = x ?? u ?? long;
      return hex === undefined ? ESCAPES[char as string] ?? all : String.fromCodePoint(parseInt(hex, 16));
    },
  );
}
