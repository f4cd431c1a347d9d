/** What a template's author or user sees when a template fails. */

/** A template cannot be parsed or evaluated, or it refuses the conversation. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  /** Line of the template, counted from 1. */
  readonly line: number;
  /** The template itself refused the conversation by `raise_exception`. */
  readonly raised: boolean;

  constructor(message: string, line: number, raised = false) {
    super(message);
    this.line = line;
    this.raised = raised;
  }
}

/** A failed operation that does not know its line; the template that evaluates makes a {@linkcode TemplateError} of it. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly raised: boolean;

  constructor(message: string, raised = false) {
    super(message);
    this.raised = raised;
  }
}

const MAX_DEPTH = 500;

/** @throws {Problem} If something is nested too deep. */
export function checkDepth(depth: number, what = "A value"): void {
  if (depth > MAX_DEPTH) throw new Problem(`${what} is nested deeper than ${MAX_DEPTH} levels`);
}
