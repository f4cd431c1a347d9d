/** Takes messages from the terminal, or lines from what is piped in. */
import { createInterface, type Interface } from "node:readline";
import { stderr, stdin } from "node:process";
import type { HistoryFile } from "./history_file.ts";
import { isScreen, remark } from "./output.ts";
import { isShortened, PASTE_OFF, PASTE_ON, PasteInput } from "./paste_input.ts";

const MORE = "... ";
const MOST_HISTORY = 500;
const encoder = new TextEncoder();

/** How messages are taken. */
export interface LineEditorOptions {
  /** Shown before a message, without the space behind it. */
  readonly prompt: () => string;
  /** What was said before; absent: nothing is kept. */
  readonly history?: HistoryFile | undefined;
  /** Ctrl-C: stops what runs, and says whether anything did. */
  readonly interrupt: () => boolean;
}

/** Edits lines on a terminal. Ctrl-C stops what runs or clears the line, Ctrl-D leaves. */
export class LineEditor implements Disposable {
  /** Whether somebody types; lines are edited where they are shown, which is stderr. */
  readonly isTerminal: boolean = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  readonly #options: LineEditorOptions;
  readonly #lines: Interface;
  readonly #input: PasteInput | undefined;
  readonly #onSignal = (): void => this.#interrupt();
  /** The lines of a message that goes on. */
  #begun = "";

  constructor(options: LineEditorOptions) {
    this.#options = options;
    const isScreenHere = this.isTerminal && isScreen(Deno.stderr);
    if (isScreenHere) {
      this.#input = new PasteInput(stdin);
      stdin.pipe(this.#input);
      write(PASTE_ON);
    }
    // The prompt goes to stderr, so that stdout has the answers and nothing else.
    this.#lines = createInterface({
      input: this.#input ?? stdin,
      output: stderr,
      terminal: isScreenHere,
      prompt: "",
      history: options.history?.read() ?? [],
      historySize: MOST_HISTORY,
      removeHistoryDuplicates: true,
    });
    this.#lines.on("SIGINT", this.#onSignal);
    // While the terminal is in raw mode Ctrl-C is a key, elsewhere a signal.
    Deno.addSignalListener("SIGINT", this.#onSignal);
  }

  /** The messages, until Ctrl-D or the end of the input. While one is dealt with, keys are kept for the next. */
  async *messages(): AsyncGenerator<string, void, void> {
    this.#ask();
    for await (const line of this.#lines) {
      const whole = this.#input?.restore(line) ?? line;
      // What a long paste stands for is not known in another chat.
      if (this.isTerminal && !isShortened(line, whole)) this.#options.history?.add(line);
      if (whole.endsWith("\\")) {
        this.#begun += `${whole.slice(0, -1)}\n`;
        this.#ask();
        continue;
      }
      const text = (this.#begun + whole).trim();
      this.#begun = "";
      if (text !== "") {
        this.#input?.hold();
        yield text;
        this.#ask();
        this.#input?.release();
      } else this.#ask();
    }
    // The shell's prompt starts on a line of its own.
    if (this.isTerminal) write("\n");
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#onSignal);
    this.#lines.close();
    if (this.#input === undefined) return;
    stdin.unpipe(this.#input);
    stdin.pause();
    write(PASTE_OFF);
  }

  #ask(): void {
    if (!this.isTerminal) return;
    this.#lines.setPrompt(this.#begun === "" ? `${this.#options.prompt()} ` : MORE);
    this.#lines.prompt();
  }

  #interrupt(): void {
    if (this.#options.interrupt() || !this.isTerminal) return;
    const isEmpty = this.#lines.line === "" && this.#begun === "";
    this.#begun = "";
    if (isEmpty) remark("(Ctrl-D leaves)");
    else {
      // As the keys do it: to the end of the line, then back over all of it.
      this.#lines.write(null, { ctrl: true, name: "e" });
      this.#lines.write(null, { ctrl: true, name: "u" });
    }
    this.#ask();
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(encoder.encode(text));
}
