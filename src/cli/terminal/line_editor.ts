/** Reads messages from the terminal, or lines from a pipe. */
import { createInterface, type Interface } from "node:readline";
import { stderr, stdin } from "node:process";
import { spellControls } from "../../log/controls.ts";
import type { HistoryFile } from "./history_file.ts";
import { isScreen, remark } from "./output.ts";
import { isShortened, PASTE_OFF, PASTE_ON, PasteInput } from "./paste_input.ts";

const MORE = "... ";
const MOST_HISTORY = 500;
const encoder = new TextEncoder();

export interface LineEditorOptions {
  /** The prompt, without trailing space; its control characters are escaped. */
  readonly prompt: () => string;
  /** Input history; default: none. */
  readonly history?: HistoryFile | undefined;
  /** Handles Ctrl-C: stops what is running; returns whether anything was. */
  readonly interrupt: () => boolean;
}

/** A line editor for terminals. Ctrl-C stops what is running or clears the line, Ctrl-D exits. */
export class LineEditor implements Disposable {
  /** Whether input is interactive; lines are edited on stderr. */
  readonly isTerminal: boolean = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  readonly #options: LineEditorOptions;
  readonly #lines: Interface;
  readonly #input: PasteInput | undefined;
  readonly #onSignal = (): void => this.#interrupt();
  /** Earlier lines of a multi-line message. */
  #begun = "";

  constructor(options: LineEditorOptions) {
    this.#options = options;
    const isScreenHere = this.isTerminal && isScreen(Deno.stderr);
    if (isScreenHere) {
      this.#input = new PasteInput(stdin);
      stdin.pipe(this.#input);
      write(PASTE_ON);
    }
    // The prompt goes to stderr, so that stdout has only answers.
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
    // In raw mode Ctrl-C is a key, otherwise a signal.
    Deno.addSignalListener("SIGINT", this.#onSignal);
  }

  /** The messages, until Ctrl-D or EOF. While one is processed, keys are buffered. */
  async *messages(): AsyncGenerator<string, void, void> {
    this.#ask();
    for await (const line of this.#lines) {
      const whole = this.#input?.restore(line) ?? line;
      // A placeholder for a long paste is meaningless in another chat.
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
    // Let the shell's prompt start on a new line.
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
    this.#lines.setPrompt(this.#begun === "" ? `${spellControls(this.#options.prompt())} ` : MORE);
    this.#lines.prompt();
  }

  #interrupt(): void {
    if (this.#options.interrupt() || !this.isTerminal) return;
    const isEmpty = this.#lines.line === "" && this.#begun === "";
    this.#begun = "";
    if (isEmpty) remark("(Ctrl-D leaves)");
    else {
      // As keys would: move to the end of the line, then delete it.
      this.#lines.write(null, { ctrl: true, name: "e" });
      this.#lines.write(null, { ctrl: true, name: "u" });
    }
    this.#ask();
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(encoder.encode(text));
}
