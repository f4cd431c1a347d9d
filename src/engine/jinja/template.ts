/**
 * Chat templates: Jinja as transformers sets it up, evaluated with Python's rules. The room is inferd's own because
 * what a template renders must tell the text of a request from the template's, or a user could write control tokens;
 * because an error must name the template's line; and because templates rely on more of Python (`str` of a dict,
 * `%`, `.append`, `min`, tests with arguments) than `@huggingface/jinja` has.
 *
 * `syntax/` reads a template, `evaluate/` makes functions of it, `values/` has Python's values and strings that know
 * where they came from, `library/` has filters, tests, methods and global functions.
 */
import { finish, type Work } from "../../work/work.ts";
import { Problem, TemplateError } from "./values/error.ts";
import { Rendering, Scope } from "./evaluate/rendering.ts";
import type { Execute } from "./evaluate/rendering.ts";
import { Compiler } from "./evaluate/statements.ts";
import { parse } from "./syntax/parser.ts";
import { toValue } from "./values/convert.ts";
import { TextBuilder } from "./values/text.ts";

export { TemplateError } from "./values/error.ts";
export { asInput } from "./values/convert.ts";

export interface Rendered {
  readonly text: string;
  /** Which characters came from a request: sorted, disjoint `[from, to)` pairs, flat, in UTF-16 units. */
  readonly input: readonly number[];
}

export class Template {
  readonly #body: Execute;
  readonly #now: () => Date;

  /**
   * @param now The clock of `strftime_now`.
   * @throws {TemplateError} If it cannot be read, or uses an unknown filter or test.
   */
  constructor(source: string, now: () => Date = () => new Date()) {
    this.#body = withLines(() => 1, () => new Compiler().compile(parse(source)));
    this.#now = now;
  }

  /**
   * @param variables What it may read: JSON values, `Map`s for objects whose keys must keep their order, and what
   * {@linkcode asInput} made, anywhere within. Nothing of it is changed.
   * @returns The text, and which characters of it came from what `asInput` made.
   * @throws {TemplateError} If it fails or refuses the variables.
   */
  render(variables: Readonly<Record<string, unknown>>): Rendered {
    return finish(this.renderInPieces(variables));
  }

  /**
   * The same as work in pieces: a template may have much to do.
   *
   * @param variables As for `render`.
   * @returns As of `render`.
   * @throws {TemplateError} If it fails or refuses the variables.
   */
  *renderInPieces(variables: Readonly<Record<string, unknown>>): Work<Rendered> {
    const values = withLines(() => 1, () => {
      const given = Object.entries(variables).filter(([, value]) => value !== undefined);
      return new Map(given.map(([name, value]) => [name, toValue(value)]));
    });
    const run = new Rendering(this.#now, values);
    const out = new TextBuilder();
    try {
      const scope = new Scope(run, undefined);
      if (this.#body.pieces === undefined) this.#body(scope, out);
      else yield* this.#body.pieces(scope, out);
    } catch (error) {
      throw withLine(error, run.line);
    }
    return { text: out.raw, input: out.input };
  }
}

/** Gives problems their line; a stack that overflows is a problem too. */
function withLines<T>(lineNow: () => number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withLine(error, lineNow());
  }
}

function withLine(error: unknown, line: number): unknown {
  if (error instanceof Problem) return new TemplateError(error.message, line, error.raised);
  if (error instanceof RangeError) return new TemplateError(`The template asks for too much: ${error.message}`, line);
  return error;
}
