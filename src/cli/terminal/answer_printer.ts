/** How an answer gets to the terminal: its text on stdout, everything else on stderr. */
import { dim } from "@std/fmt/colors";

const encoder = new TextEncoder();

/**
 * Print to stdout, all of it.
 *
 * @param text What to print.
 */
export function printText(text: string): Promise<void> {
  return writeAll(Deno.stdout, text);
}

/** Prints one answer as it comes. */
export class AnswerPrinter {
  #last = "";
  #isThinking = false;

  /** A piece of the answer. */
  async text(text: string): Promise<void> {
    await this.#endThinking();
    await printText(text);
    this.#last = text;
  }

  /** A piece of what the model thinks before it answers. */
  async thinking(text: string): Promise<void> {
    this.#isThinking = true;
    await writeAll(Deno.stderr, Deno.stderr.isTerminal() ? dim(text) : text);
  }

  /**
   * The answer is over.
   *
   * @param cutAfter Set if the answer was cut off: after how many tokens.
   */
  async end(cutAfter?: number): Promise<void> {
    await this.#endThinking();
    if (!this.#last.endsWith("\n")) await printText("\n");
    if (cutAfter !== undefined && Deno.stderr.isTerminal()) console.error(dim(`(cut off after ${cutAfter} tokens)`));
  }

  /** The answer broke off: what is said next starts on a line of its own. */
  async breakOff(): Promise<void> {
    await this.#endThinking();
    if (this.#last !== "" && !this.#last.endsWith("\n")) await printText("\n");
  }

  async #endThinking(): Promise<void> {
    if (!this.#isThinking) return;
    this.#isThinking = false;
    await writeAll(Deno.stderr, "\n");
  }
}

async function writeAll(to: { write(bytes: Uint8Array): Promise<number> }, text: string): Promise<void> {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
