/**
 * A schema document: numbers its subschemas and values, and resolves references. Interprets only the keywords that name
 * locations.
 */
import { canonical, isObject, own } from "./read.ts";
import { child, type Path, SchemaError, UnenforceableError } from "./schema_path.ts";

/** A subschema, or a constant. */
export interface Part {
  readonly id: number;
  readonly kind: "schema" | "value";
  readonly value: unknown;
  readonly at: Path;
  /** Its parent. */
  readonly parent: Part | undefined;
}

/** A part that must match or, if negated, must not: twice its number, plus one if negated. */
export type Literal = number;
/** Matches nothing. */
export const NEVER: Literal = 0;
/** Matches everything. */
export const ALWAYS: Literal = 1;

/** Base URI of documents without one. */
const NO_BASE = "schema:///";
/** Keys whose values are not schemas. */
const DATA: ReadonlySet<string> = new Set(["enum", "const", "default", "examples", "example"]);
const SHOWN = 64;

/** The parts of one schema. */
export class SchemaDocument {
  readonly root: Part;
  readonly #parts: Part[] = [];
  readonly #schemas = new Map<object, Part>();
  readonly #values = new Map<string, Part>();
  /** Called for every part visited; throws if there are too many. */
  readonly #count: (at: Path) => void;
  readonly #bases = new Map<Part, string>();
  /** Targets of `$id` and `$anchor`; computed on demand. */
  #named: Map<string, Part> | undefined;

  constructor(schema: unknown, at: Path, count: (at: Path) => void) {
    this.#count = count;
    this.#parts.push({ id: 0, kind: "schema", value: false, at, parent: undefined });
    this.root = this.#part(schema, at, undefined);
  }

  /** The part of a literal. */
  part(literal: Literal): Part {
    return this.#parts[literal >> 1] as Part;
  }

  /** A subschema by its path. */
  within(parent: Part, ...keys: readonly (string | number)[]): Part {
    let part = parent;
    for (const key of keys) {
      part = this.#part((part.value as Record<string | number, unknown>)[key], child(part.at, key), part);
    }
    return part;
  }

  /** The literal that a schema matches. */
  literal(part: Part): Literal {
    if (part.value === false && part.kind === "schema") return NEVER;
    if (part.value === true && part.kind === "schema") return ALWAYS;
    return 2 * part.id;
  }

  /** The literal that a value equals a constant. */
  valueLiteral(value: unknown, at: Path): Literal {
    const key = canonical(value, at, this.#count);
    const { id } = this.#values.getOrInsertComputed(key, () => {
      const part: Part = { id: this.#parts.length, kind: "value", value, at, parent: undefined };
      this.#parts.push(part);
      return part;
    });
    return 2 * id;
  }

  #part(schema: unknown, at: Path, parent: Part | undefined): Part {
    const known = typeof schema === "object" && schema !== null ? this.#schemas.get(schema) : undefined;
    if (known !== undefined) return known;
    this.#count(at);
    const part: Part = { id: this.#parts.length, kind: "schema", value: schema, at, parent };
    this.#parts.push(part);
    if (typeof schema === "object" && schema !== null) this.#schemas.set(schema, part);
    return part;
  }

  /**
   * Resolve a reference.
   *
   * @param reference `#`, a pointer, an anchor, or an address that an `$id` within the schema has.
   * @param from The schema that contains it.
   * @param at Its location.
   * @throws {SchemaError} If it refers to nothing in this schema.
   */
  resolve(reference: string, from: Part, at: Path): Part {
    const shown = JSON.stringify(reference.length > SHOWN ? `${reference.slice(0, SHOWN)}…` : reference);
    const hash = reference.indexOf("#");
    const [address, fragment] = hash === -1 ? [reference, ""] : [reference.slice(0, hash), reference.slice(hash + 1)];
    if (address === "" && (fragment === "" || fragment.startsWith("/"))) {
      const found = this.#follow(fragment, this.#resource(from)) ?? this.#follow(fragment, this.root);
      if (found !== undefined) return found;
      throw new SchemaError(at, `refers to nothing, got ${shown}`);
    }
    const named = this.#names();
    const base = address === "" ? this.#base(from) : absolute(address, this.#base(from));
    const resource = named.get(base) ?? (base === this.#base(this.root) ? this.root : undefined);
    if (resource === undefined && address !== "") {
      throw new UnenforceableError(at, `refers to something outside of the schema, got ${shown}`);
    }
    const found = fragment === "" || fragment.startsWith("/")
      ? this.#follow(fragment, resource ?? this.root)
      : named.get(`${base}#${fragment}`) ?? named.get(`#${fragment}`);
    if (found === undefined) throw new SchemaError(at, `refers to nothing, got ${shown}`);
    return found;
  }

  #follow(pointer: string, from: Part): Part | undefined {
    let part = from;
    for (const escaped of pointer.split("/").slice(1)) {
      this.#count(part.at);
      const { value } = part;
      const key = unescape(escaped);
      const isKnown = key !== undefined && (isObject(value) || Array.isArray(value) && /^\d+$/.test(key));
      if (!isKnown || !Object.hasOwn(value as object, key)) return undefined;
      part = this.within(part, Array.isArray(value) ? Number(key) : key);
    }
    return part;
  }

  /** The nearest ancestor with a URI of its own. */
  #resource(part: Part): Part {
    let at = part;
    while (at.parent !== undefined && addressOf(at.value) === undefined) at = at.parent;
    return at;
  }

  #base(part: Part): string {
    return this.#bases.getOrInsertComputed(part, () => {
      const around = part.parent === undefined ? NO_BASE : this.#base(part.parent);
      const address = addressOf(part.value);
      return address === undefined ? around : absolute(address, around);
    });
  }

  /** URIs and anchors of the whole document; the first of a name wins. */
  #names(): Map<string, Part> {
    if (this.#named !== undefined) return this.#named;
    const named = new Map<string, Part>();
    const add = (name: string, part: Part): void => {
      if (!named.has(name)) named.set(name, part);
    };
    const todo: Part[] = [this.root];
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      const { value } = part;
      const base = this.#base(part);
      if (isObject(value)) {
        if (addressOf(value) !== undefined) add(base, part);
        for (const name of anchorsOf(value)) {
          add(`${base}#${name}`, part);
          add(`#${name}`, part);
        }
      }
      for (const key of isObject(value) || Array.isArray(value) ? Object.keys(value).reverse() : []) {
        const below = (value as Record<string, unknown>)[key];
        if (typeof below !== "object" || below === null || DATA.has(key)) continue;
        todo.push(this.within(part, Array.isArray(value) ? Number(key) : key));
      }
    }
    return this.#named = named;
  }
}

function addressOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const address = own(value, "$id") ?? own(value, "id");
  return typeof address === "string" && !address.startsWith("#") ? address : undefined;
}

function anchorsOf(value: Readonly<Record<string, unknown>>): string[] {
  const names = [own(value, "$anchor"), own(value, "$dynamicAnchor")];
  for (const address of [own(value, "$id"), own(value, "id")]) {
    if (typeof address === "string" && address.startsWith("#")) names.push(address.slice(1));
  }
  return names.filter((name) => typeof name === "string");
}

/** A URI without its fragment. */
function absolute(address: string, base: string): string {
  try {
    const url = new URL(address, base);
    url.hash = "";
    return url.href;
  } catch {
    return address;
  }
}

function unescape(part: string): string | undefined {
  try {
    return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return undefined;
  }
}
