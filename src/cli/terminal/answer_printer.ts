/** How an answer gets to the terminal: its text on stdout, everything else on stderr. */
import { dim } from "@std/fmt/colors";
import { spellControls } from "../../log/controls.ts";
import { columnsOf, complain, isScreen, writeText } from "./output.ts";
import { WordWrap } from "./word_wrap.ts";

/** Prints one answer as it comes, wrapped at words where a terminal shows it. */
export class AnswerPrinter {
  readonly #raw: boolean;
  readonly #textWrap: WordWrap | undefined;
  readonly #thoughtWrap: WordWrap | undefined;
  #last = "";
  #isThinking = false;

  /** @param options.raw A terminal gets what the model wrote as it is, control characters too. */
  constructor({ raw = false }: { readonly raw?: boolean } = {}) {
    this.#raw = raw;
    // How wide raw text is shown is not known.
    this.#textWrap = !raw && isScreen(Deno.stdout) ? new WordWrap(columnsOf) : undefined;
    this.#thoughtWrap = !raw && isScreen(Deno.stderr) ? new WordWrap(columnsOf) : undefined;
  }

  /** A piece of the answer. */
  async text(text: string): Promise<void> {
    await this.#endThinking();
    this.#last = text;
    await this.#write(this.#textWrap === undefined ? text : this.#textWrap.push(spellControls(text)));
  }

  /** A piece of what the model thinks before it answers. */
  async thinking(text: string): Promise<void> {
    this.#isThinking = true;
    if (!Deno.stderr.isTerminal()) return await writeText(Deno.stderr, text);
    const shown = this.#raw ? text : spellControls(text);
    await this.#writeThought(this.#thoughtWrap === undefined ? shown : this.#thoughtWrap.push(shown));
  }

  /**
   * The answer is over.
   *
   * @param cutAfter Set if the answer was cut off: after how many tokens.
   */
  async end(cutAfter?: number): Promise<void> {
    await this.#endThinking();
    await this.#write(this.#textWrap?.flush() ?? "");
    if (!this.#last.endsWith("\n")) await writeText(Deno.stdout, "\n");
    if (cutAfter !== undefined && Deno.stderr.isTerminal()) complain(dim(`(cut off after ${cutAfter} tokens)`));
  }

  /** The answer broke off: what is said next starts on a line of its own. */
  async breakOff(): Promise<void> {
    await this.#endThinking();
    await this.#write(this.#textWrap?.flush() ?? "");
    if (this.#last !== "" && !this.#last.endsWith("\n")) await writeText(Deno.stdout, "\n");
  }

  async #write(text: string): Promise<void> {
    if (text !== "") await writeText(Deno.stdout, text, this.#raw);
  }

  async #writeThought(text: string): Promise<void> {
    if (text !== "") await writeText(Deno.stderr, dim(text), true);
  }

  async #endThinking(): Promise<void> {
    if (!this.#isThinking) return;
    this.#isThinking = false;
    await this.#writeThought(this.#thoughtWrap?.flush() ?? "");
    await writeText(Deno.stderr, "\n");
  }
}
