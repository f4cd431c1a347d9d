/**
 * Where something stands in a request, for messages. Rendered only when something is wrong there.
 */
import { GrammarError } from "../rules.ts";

/** A key and what it is in; of the outermost, the path to it. */
export interface Path {
  readonly key: string | number;
  readonly parent?: Path;
}

/** A schema cannot be compiled; the message begins with where and is for the caller. */
export class SchemaError extends GrammarError {
  /** Where. */
  readonly at: Path;

  constructor(at: Path, message: string) {
    super(`"${show(at)}" ${message}`);
    this.at = at;
  }
}

/** A schema means something that cannot be enforced while a value is written; it can be looked at afterwards. */
export class UnenforceableError extends SchemaError {}

/** Of a long key so much is shown. */
const KEY_CHARACTERS = 64;
const KEYS = 200;

/** What stands in something. */
export function child(parent: Path, key: string | number): Path {
  return { parent, key };
}

/** `a.b[2]["odd key"]`. */
export function show(path: Path): string {
  const parts: string[] = [];
  let at = path;
  while (at.parent !== undefined && parts.length < KEYS) {
    parts.push(showKey(at.key));
    at = at.parent;
  }
  return `${at.key}${parts.reverse().join("")}`;
}

function showKey(key: string | number): string {
  if (typeof key === "number") return `[${key}]`;
  if (/^[A-Za-z_$][\w$-]*$/.test(key) && key.length <= KEY_CHARACTERS) return `.${key}`;
  return `[${JSON.stringify(key.length > KEY_CHARACTERS ? `${key.slice(0, KEY_CHARACTERS)}…` : key)}]`;
}
