/** Locations within a request, for messages. Formatted only when an error is reported. */
import { GrammarError } from "../rules.ts";

/** A key and its parent; the outermost has the path to it. */
export interface Path {
  readonly key: string | number;
  readonly parent?: Path;
}

/** A schema cannot be compiled. The message begins with the location and is meant for the caller. */
export class SchemaError extends GrammarError {
  /** The location. */
  readonly at: Path;

  constructor(at: Path, message: string) {
    super(`"${show(at)}" ${message}`);
    this.at = at;
  }
}

/** A schema has a constraint that cannot be enforced during generation, only validated afterwards. */
export class UnenforceableError extends SchemaError {}

/** Maximum shown length of a key. */
const KEY_CHARACTERS = 64;
const KEYS = 200;

/** The path of a child. */
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
