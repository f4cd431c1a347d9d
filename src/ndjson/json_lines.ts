/** Values in lines of JSON between two processes that trust each other: large ones are parsed while they arrive. */
import { GradualParser } from "./gradual_parser.ts";
import { LineAssembler, splitLines, type Violation } from "./line_assembler.ts";

/** Lines of at least so many bytes are parsed while they arrive. */
const LARGE_LINE_BYTES = 1024 * 1024;

export class JsonLines {
  readonly #assembler: LineAssembler;
  /** Parses the incoming line if it is large. */
  #large: GradualParser | undefined;

  /** @param options As those of `LineAssembler`. */
  constructor(...options: ConstructorParameters<typeof LineAssembler>) {
    this.#assembler = new LineAssembler(...options);
  }

  /** As `LineAssembler.violation`. */
  get violation(): Violation | undefined {
    return this.#assembler.violation;
  }

  /** As `LineAssembler.space`. */
  space(): Uint8Array<ArrayBuffer> {
    return this.#assembler.space();
  }

  /**
   * Process bytes that were written to `space`.
   *
   * @returns The values of the lines that they complete. To be iterated before more bytes come.
   * @throws {SyntaxError} If a line is not JSON, after the values before it.
   */
  commit(count: number): Iterable<unknown> {
    return this.#values(this.#assembler.commit(count));
  }

  /**
   * Process bytes from elsewhere.
   *
   * @returns As `commit`.
   */
  push(bytes: Uint8Array): Iterable<unknown> {
    return this.#values(this.#assembler.push(bytes));
  }

  *#values(text: string): Iterable<unknown> {
    for (const line of splitLines(text)) {
      const large = this.#large;
      this.#large = undefined;
      large?.feed(line);
      yield large === undefined ? JSON.parse(line) : large.finish();
    }
    if (this.#assembler.heldBytes < LARGE_LINE_BYTES) return;
    const large = this.#large ??= new GradualParser();
    for (let part = this.#assembler.takeAhead(); part !== undefined; part = this.#assembler.takeAhead()) {
      large.feed(part);
    }
  }
}
