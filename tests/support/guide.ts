/**
 * A guide of docs/guides, or README.md, done as its reader would do it: every file it shows is written, every command it
 * shows is run by bash in a home of its own, and what it says a command prints is compared with what the command printed.
 *
 * A guide's fenced blocks are `sh` (run), `text` (what the `sh` block before it prints; `…` stands for anything),
 * `console` (lines that start with `$ ` are run, those after each are what it prints) and files (`json`, `ts`, `python`,
 * …), each named by a comment before it: `<!-- file: ~/.inferd/config.json -->`. A block after `<!-- on: NAME -->`
 * belongs to another machine than the rest; one after `<!-- not run: REASON -->` is only read, and one after
 * `<!-- needs: COMMAND -->` is left out, and said to be, where that command fails. A block that starts a daemon runs
 * until the next one does, or to the end.
 */
import { assert, assertEquals } from "@std/assert";
import { dirname } from "@std/path";
import { MAIN, type Outcome, Program, Sandbox } from "./program.ts";

/** Each command is a file of its name. */
const COMMANDS = new URL("../../src/cli", import.meta.url).pathname;
const FIRST_MACHINE = "this machine";
const FILES = new Set(["json", "ts", "js", "python", "go", "modelfile"]);
/** A fence: what language the block is in, and what it says. */
const FENCE = /^```(\S*)[^\n]*\n([\s\S]*?)^```$/gm;
const DAEMON = /^(?:.*\s)?(?:inferd serve|deno task start)\b(?!.*--help)[^|\n]*$/m;

/** What stands in for a program that a test cannot have. Told what it was called with after the block. */
export type StandIn = (args: string, reader: GuideReader) => Promise<void> | void;

/** What is different in a test. */
export interface GuideOptions {
  /** What is written in the guide, and what takes its place on the reader's machine. Each must be there. */
  readonly substitutions?: Readonly<Record<string, string | ((place: Place) => string)>>;
  /** Files that the reader has already: below the home folder, and what is in them. The guide must name each. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Programs that only write down what they are called with. Each must be called. */
  readonly standIns?: Readonly<Record<string, StandIn>>;
  /** Where commands are run. Default: the home folder. */
  readonly cwd?: string;
}

interface Block {
  readonly language: string;
  readonly code: string;
  readonly before: string;
  readonly file: string | undefined;
  readonly machine: string;
  /** Why it is not run. */
  readonly notRun: string | undefined;
  /** A command that fails where it cannot be run. */
  readonly needs: string | undefined;
}

/** One machine, and the daemon that runs there. */
class Place implements AsyncDisposable {
  readonly box: Sandbox = new Sandbox();
  readonly env: Readonly<Record<string, string>>;
  readonly #calls = `${this.box.dir}/calls`;
  readonly #cwd: string;
  #daemon: Program | undefined;

  constructor(options: GuideOptions) {
    this.#cwd = options.cwd ?? this.box.dir;
    const bin = `${this.box.dir}/bin`;
    Deno.mkdirSync(bin);
    Deno.writeTextFileSync(this.#calls, "");
    const script = (name: string, ...lines: string[]): void =>
      Deno.writeTextFileSync(`${bin}/${name}`, ["#!/bin/sh", ...lines, ""].join("\n"), { mode: 0o755 });
    const note = (name: string): string => `echo "${name} $*" >> '${this.#calls}'`;
    const deno = `exec '${Deno.execPath()}'`;
    script("inferd", note("inferd"), `${deno} run -A --no-check '${MAIN}' "$@"`);
    script("deno", note("deno"), `${deno} "$@"`);
    // `npx --yes deno …`: the one that is here.
    script("npx", note("npx"), "shift 2", `${deno} "$@"`);
    for (const name of Object.keys(options.standIns ?? {})) script(name, note(name));
    this.env = {
      ...this.box.env,
      // Where they are by default.
      INFERD_LOG_DIR: "",
      MODELS_HOME: "",
      XDG_DATA_HOME: "",
      ...options.env,
      PATH: `${bin}:${this.box.dir}/.deno/bin:${Deno.env.get("PATH") ?? ""}`,
    };
  }

  /** Run a block to its end. */
  async run(code: string): Promise<Outcome> {
    await using program = this.#spawn(code);
    return await program.outcome;
  }

  /** Run a block that starts a daemon, until that is ready. */
  async serve(code: string): Promise<void> {
    const daemon = this.#spawn(code);
    this.#daemon = daemon;
    const ended = daemon.outcome.then(({ stderr }) => {
      throw new Error(`The daemon ended before it was ready: ${stderr}`);
    });
    try {
      await Promise.race([this.box.admin.ready(), ended]);
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      this.#daemon = undefined;
      throw error;
    }
    ended.catch(() => {});
  }

  /** What Ctrl-C does. Without a daemon nothing; one that `inferd stop` has ended, or a signal, has ended well. */
  async stop(): Promise<void> {
    const daemon = this.#daemon;
    const pid = this.#pid();
    this.#daemon = undefined;
    if (pid !== undefined) Deno.kill(pid, "SIGINT");
    if (daemon === undefined) return;
    const { code, stderr } = await daemon.outcome;
    assertEquals(code, 0, stderr);
  }

  get isServing(): boolean {
    return this.#daemon !== undefined && this.#pid() !== undefined;
  }

  /** What the programs of `bin` were called with since the last time. */
  takeCalls(): string[] {
    const calls = Deno.readTextFileSync(this.#calls).split("\n").filter((line) => line !== "");
    Deno.writeTextFileSync(this.#calls, "");
    return calls;
  }

  write(path: string, content: string | Uint8Array): void {
    assert(path.startsWith("~/"), `"${path}" must start with ~/`);
    const target = `${this.box.dir}/${path.slice(2)}`;
    Deno.mkdirSync(dirname(target), { recursive: true });
    if (typeof content === "string") Deno.writeTextFileSync(target, content);
    else Deno.writeFileSync(target, content);
  }

  /** The same wherever it ran. */
  shown(text: string): string {
    return text.replaceAll(`${this.box.runtimeDir}/`, "/run/user/1000/inferd/").replaceAll(this.box.dir, "/home/you");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      await this.box[Symbol.asyncDispose]();
    }
  }

  /** Of the daemon that runs here, also one that a command has started. */
  #pid(): number | undefined {
    try {
      return Number(Deno.readTextFileSync(`${this.box.runtimeDir}/inferd.pid`));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  #spawn(code: string): Program {
    const child = new Deno.Command("bash", {
      args: ["-euo", "pipefail", "-c", code],
      cwd: this.#cwd,
      env: { ...this.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Program(child, undefined);
  }
}

/** Reads a guide and does what it says. */
export class GuideReader implements AsyncDisposable {
  readonly #text: string;
  readonly #options: GuideOptions;
  readonly #places = new Map<string, Place>();
  readonly #ran: string[] = [];
  readonly #called = new Set<string>();

  /**
   * @param text The guide.
   * @param options What is different in a test.
   */
  constructor(text: string, options: GuideOptions = {}) {
    this.#text = text;
    this.#options = options;
  }

  /** Do everything the guide says, in order. */
  async follow(): Promise<void> {
    const { files = {}, substitutions = {}, standIns = {} } = this.#options;
    const blocks = readBlocks(this.#text);
    const all = blocks.map(({ code, file }) => `${file ?? ""}\n${code}`).join("\n");
    for (const from of Object.keys(substitutions)) assert(all.includes(from), `No block says "${from}"`);
    for (const [path, source] of Object.entries(files)) {
      assert(all.includes(path), `No block names "${path}"`);
      this.place().write(path, Deno.readFileSync(source));
    }
    let printed: string | undefined;
    let skipped: Block | undefined;
    for (const block of blocks) {
      if (block.notRun !== undefined || await this.#lacks(block)) skipped = block;
      else if (block.language === "sh") {
        skipped = undefined;
        printed = await this.#run(block);
      } else if (block.language === "console") await this.#runSession(block);
      else if (block.language === "text") {
        if (skipped !== undefined) continue;
        assert(printed !== undefined, `No command before this: ${block.code}`);
        assert(isLike(printed, block.code), `The guide says\n${block.code}but this was printed:\n${printed}`);
        printed = undefined;
      } else {
        assert(FILES.has(block.language), `A block is in "${block.language}": ${block.code}`);
        assert(block.file !== undefined, `No comment names the file of: ${block.code}`);
        this.place(block.machine).write(block.file, this.#substitute(block.code));
      }
    }
    for (const name of Object.keys(standIns)) assert(this.#called.has(name), `${name} was never called`);
    this.#checkProse();
  }

  /** A machine; the reader's own unless named. */
  place(name: string = FIRST_MACHINE): Place {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = new Place(this.#options);
      this.#places.set(name, place);
    }
    return place;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = await Promise.allSettled(this.#places.values().map((place) => place[Symbol.asyncDispose]()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  /** Returns what was printed; of a daemon nothing. */
  async #run({ code, before, machine }: Block): Promise<string | undefined> {
    const place = this.place(machine);
    const script = this.#substitute(code);
    let printed: string | undefined;
    if (DAEMON.test(code)) {
      if (place.isServing) assert(before.includes("Ctrl-C"), `Nothing says to stop the daemon before: ${code}`);
      await place.stop();
      await place.serve(script);
    } else {
      const outcome = await place.run(script);
      assertEquals(outcome.code, 0, `${code}${outcome.stdout}${outcome.stderr}`);
      printed = place.shown(outcome.stdout);
    }
    this.#ran.push(code);
    const calls = place.takeCalls();
    this.#checkCalls(code, calls);
    for (const call of calls) {
      const [name = "", ...args] = call.split(" ");
      this.#called.add(name);
      await this.#options.standIns?.[name]?.(args.join(" "), this);
    }
    return printed;
  }

  /** Whether this machine cannot run a block. */
  async #lacks({ needs, machine, code }: Block): Promise<boolean> {
    if (needs === undefined || (await this.place(machine).run(needs)).code === 0) return false;
    console.warn(`Skipped, because this machine lacks what "${needs}" needs: ${code.trim()}`);
    return true;
  }

  /** A session as a terminal shows it. */
  async #runSession(block: Block): Promise<void> {
    const steps = block.code.split(/^\$ /m);
    assertEquals(steps.shift(), "", `A session begins with "$ ": ${block.code}`);
    for (const step of steps) {
      const [command = "", ...lines] = step.trimEnd().split("\n");
      const printed = await this.#run({ ...block, code: `${command}\n` });
      const expected = lines.join("\n").trimEnd();
      assert(isLike(printed ?? "", expected), `The guide says\n${expected}\nbut this was printed:\n${printed}`);
    }
  }

  /** Every command that bash could have passed over has been started. */
  #checkCalls(code: string, calls: readonly string[]): void {
    const names = ["inferd", "deno", "npx", ...Object.keys(this.#options.standIns ?? {})];
    const command = new RegExp(`(?:^|[|;&(]\\s*)(?:[A-Z_]+=\\S*\\s+)*(${names.join("|")})\\s`, "gm");
    // What a guide installs as `inferd` is started by Deno.
    const kind = (name: string): string => name === "deno" ? "inferd" : name;
    const called = calls.map((call) => kind(call.split(" ")[0] ?? ""));
    for (const [, name = ""] of code.matchAll(command)) {
      const at = called.indexOf(kind(name));
      assert(at >= 0, `A command "${name}" was not run in: ${code}`);
      called.splice(at, 1);
    }
  }

  /** A command that is told in a sentence is one of those that were run; one in a table exists. */
  #checkProse(): void {
    const lines = this.#text.replaceAll(FENCE, "").split("\n");
    const prose = lines.filter((line) => !line.startsWith("|")).join("\n");
    for (const [, command = ""] of prose.matchAll(/`((?:inferd|systemctl|journalctl|loginctl) [^`]+)`/g)) {
      const known = this.#ran.some((code) => code.includes(command.replace(/\s+/g, " ")));
      assert(known, `"${command}" is in the text, but in no block that was run`);
    }
    const table = lines.filter((line) => line.startsWith("|")).join("\n");
    for (const [, command = ""] of table.matchAll(/`inferd ([a-z]+)[^`]*`/g)) {
      assert(isFile(`${COMMANDS}/${command}.ts`), `"inferd ${command}" is in a table, but there is no such command`);
    }
  }

  #substitute(code: string): string {
    let result = code;
    for (const [from, to] of Object.entries(this.#options.substitutions ?? {})) {
      if (result.includes(from)) result = result.replaceAll(from, typeof to === "string" ? to : to(this.place()));
    }
    return result;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function readBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  let end = 0;
  for (const match of text.matchAll(FENCE)) {
    const [all, language = "", code = ""] = match;
    const before = text.slice(end, match.index);
    const comments = before.trimEnd().split("\n\n").at(-1) ?? "";
    const comment = (kind: string): string | undefined => new RegExp(`<!-- ${kind}: (.+?) -->`).exec(comments)?.[1];
    blocks.push({
      language,
      code,
      before,
      file: comment("file"),
      machine: comment("on") ?? FIRST_MACHINE,
      notRun: comment("not run"),
      needs: comment("needs"),
    });
    end = match.index + all.length;
  }
  // A fence that is indented or never closed would be passed over.
  assertEquals(text.match(/^\s*(?:```|~~~)/gm)?.length ?? 0, blocks.length * 2, "Not every fence is one of a block");
  return blocks;
}

/** Whether a text has the expected lines; `…` is anything within a line, and alone on a line any lines. */
function isLike(actual: string, expected: string): boolean {
  const pattern = expected.trimEnd().split("\n").map((line, index) => {
    if (line === "…") return index === 0 ? "(?:.*\\n)*?(?:.*)" : "(?:\\n.*)*?";
    return (index === 0 ? "" : "\\n") + line.split("…").map((part) => RegExp.escape(part)).join(".*");
  });
  return new RegExp(`^${pattern.join("")}$`).test(actual.trimEnd());
}
