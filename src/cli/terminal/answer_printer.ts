/** How an answer gets to the terminal: its text on stdout, everything else on stderr. */
import { dim } from "@std/fmt/colors";
import { spellControls } from "../../log/controls.ts";
import { complain, writeText } from "./output.ts";

/** Prints one answer as it comes. */
export class AnswerPrinter {
  readonly #raw: boolean;
  #last = "";
  #isThinking = false;

  /** @param options.raw A terminal gets what the model wrote as it is, control characters too. */
  constructor({ raw = false }: { readonly raw?: boolean } = {}) {
    this.#raw = raw;
  }

  /** A piece of the answer. */
  async text(text: string): Promise<void> {
    await this.#endThinking();
    await writeText(Deno.stdout, text, this.#raw);
    this.#last = text;
  }

  /** A piece of what the model thinks before it answers. */
  async thinking(text: string): Promise<void> {
    this.#isThinking = true;
    if (!Deno.stderr.isTerminal()) return await writeText(Deno.stderr, text);
    await writeText(Deno.stderr, dim(this.#raw ? text : spellControls(text)), true);
  }

  /**
   * The answer is over.
   *
   * @param cutAfter Set if the answer was cut off: after how many tokens.
   */
  async end(cutAfter?: number): Promise<void> {
    await this.#endThinking();
    if (!this.#last.endsWith("\n")) await writeText(Deno.stdout, "\n");
    if (cutAfter !== undefined && Deno.stderr.isTerminal()) complain(dim(`(cut off after ${cutAfter} tokens)`));
  }

  /** The answer broke off: what is said next starts on a line of its own. */
  async breakOff(): Promise<void> {
    await this.#endThinking();
    if (this.#last !== "" && !this.#last.endsWith("\n")) await writeText(Deno.stdout, "\n");
  }

  async #endThinking(): Promise<void> {
    if (!this.#isThinking) return;
    this.#isThinking = false;
    await writeText(Deno.stderr, "\n");
  }
}
