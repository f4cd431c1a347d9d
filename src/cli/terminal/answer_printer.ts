/** Prints an answer: text to stdout, everything else to stderr. */
import type { GenerationEvent } from "@inferd/client";
import { dim } from "@std/fmt/colors";
import { spellControls } from "../../log/controls.ts";
import { columnsOf, complain, isScreen, writeText } from "./output.ts";
import { WordWrap } from "./word_wrap.ts";

/** Prints an answer as it streams, word-wrapped on a terminal. */
export class AnswerPrinter {
  readonly #raw: boolean;
  readonly #textWrap: WordWrap | undefined;
  readonly #thoughtWrap: WordWrap | undefined;
  #last = "";
  #isThinking = false;

  /** @param options.raw Send model output to a terminal unchanged, including control characters. */
  constructor({ raw = false }: { readonly raw?: boolean } = {}) {
    this.#raw = raw;
    // The displayed width of raw text is unknown.
    this.#textWrap = !raw && isScreen(Deno.stdout) ? new WordWrap(columnsOf) : undefined;
    this.#thoughtWrap = !raw && isScreen(Deno.stderr) ? new WordWrap(columnsOf) : undefined;
  }

  /** Print an event of the answer, and its end. */
  async event(event: GenerationEvent): Promise<void> {
    if (event.type === "text") await this.#text(event.text);
    else if (event.type === "thinking") await this.#thinking(event.text);
    else if (event.type === "done") {
      await this.#end(event.stopReason === "max_tokens" ? event.usage.completionTokens : undefined);
    }
  }

  async #text(text: string): Promise<void> {
    await this.#endThinking();
    this.#last = text;
    await this.#write(this.#textWrap === undefined ? text : this.#textWrap.push(spellControls(text)));
  }

  async #thinking(text: string): Promise<void> {
    this.#isThinking = true;
    if (!Deno.stderr.isTerminal()) return await writeText(Deno.stderr, text);
    const shown = this.#raw ? text : spellControls(text);
    await this.#writeThought(this.#thoughtWrap === undefined ? shown : this.#thoughtWrap.push(shown));
  }

  /** @param cutAfter Number of tokens, if the answer reached the limit. */
  async #end(cutAfter: number | undefined): Promise<void> {
    await this.#endThinking();
    await this.#write(this.#textWrap?.flush() ?? "");
    if (!this.#last.endsWith("\n")) await writeText(Deno.stdout, "\n");
    if (cutAfter !== undefined && Deno.stderr.isTerminal()) complain(dim(`(cut off after ${cutAfter} tokens)`));
  }

  /** The answer broke off: continue on a new line. */
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
