/**
 * Calls of tools put together from pieces. A call is told when the next one has begun and its arguments can be read, or
 * when nothing follows: nothing else says that they are complete, and pieces of several calls may come by turns.
 */
import { MAX_DEPTH } from "@inferd/client/protocol";
import { type GenerationRequest, type JsonObject, ToolCallMalformedError, type ToolUse } from "./backend.ts";

/** The longest arguments, in UTF-16 units. */
const MAX_ARGUMENTS_LENGTH = 1024 * 1024;

/** The most calls that may have begun and not ended. */
const MAX_OPEN_CALLS = 256;

/** A piece of a call as a server sends it. */
export interface CallPiece {
  /** Which of the answer's calls, where the server says so. */
  readonly index: number | undefined;
  readonly id: string | undefined;
  readonly name: string | undefined;
  /** What is added to the arguments. */
  readonly written: string;
}

interface OpenCall {
  readonly index: number | undefined;
  readonly id: string | undefined;
  name: string;
  readonly written: string[];
  length: number;
}

/** The calls of one answer. */
export class ToolCalls {
  readonly #offered: ReadonlySet<string>;
  /** Ids the conversation has used. */
  readonly #used: Set<string>;
  /** Not told yet, in the order in which they began. */
  readonly #open: OpenCall[] = [];
  /** Indexes of calls that have been told. */
  readonly #told = new Set<number>();
  #count = 0;

  constructor(request: GenerationRequest) {
    this.#offered = new Set(request.toolChoice === "none" ? [] : request.tools.map(({ name }) => name));
    this.#used = new Set(usedIds(request));
  }

  /** Complete calls so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Add a piece.
   *
   * @returns The calls before, where this piece begins another.
   * @throws {ToolCallMalformedError} If a call cannot be read, or is none of those that were offered.
   */
  take(piece: CallPiece): ToolUse[] {
    if (this.#isAfterthought(piece)) return [];
    let open = this.#continued(piece);
    const complete: ToolUse[] = [];
    if (open === undefined) {
      complete.push(...this.#closeReadable());
      if (this.#open.length === MAX_OPEN_CALLS) throw new ToolCallMalformedError("The model does not end its calls");
      open = { index: piece.index, id: piece.id, name: "", written: [], length: 0 };
      this.#open.push(open);
    }
    // Some servers repeat the name with every piece.
    if (piece.name !== undefined && piece.name !== open.name) open.name += piece.name;
    open.written.push(piece.written);
    open.length += piece.written.length;
    if (open.length > MAX_ARGUMENTS_LENGTH) {
      throw new ToolCallMalformedError("The model does not end a tool's arguments");
    }
    return complete;
  }

  /**
   * No piece follows.
   *
   * @param options `cut`: the tokens ran out, so that what cannot be read is a part of a call; it is dropped then.
   * @throws As `take`.
   */
  end({ cut }: { readonly cut: boolean }): ToolUse[] {
    const calls: ToolUse[] = [];
    for (let open = this.#open.shift(); open !== undefined; open = this.#open.shift()) {
      try {
        calls.push(this.#close(open));
      } catch (error) {
        if (!cut || !(error instanceof ToolCallMalformedError)) throw error;
      }
    }
    return calls;
  }

  /** Whether it belongs to a call that has been told: nothing more can be said in it. */
  #isAfterthought({ index, name, written }: CallPiece): boolean {
    if (name !== undefined || index === undefined || !this.#told.has(index)) return false;
    if (this.#open.some((call) => call.index === index)) return false;
    if (written.trim() !== "") throw new ToolCallMalformedError("The model goes on with a call that had ended");
    return true;
  }

  /** The call a piece goes on with; undefined where it begins one. */
  #continued(piece: CallPiece): OpenCall | undefined {
    const { index } = piece;
    const open = this.#open.findLast((call) => index === undefined || call.index === index);
    return open === undefined || begins(piece, open) ? undefined : open;
  }

  /** Those that wait no more: in their order, up to the first that lacks something. */
  #closeReadable(): ToolUse[] {
    const calls: ToolUse[] = [];
    for (let [open] = this.#open; open !== undefined && isWhole(open); [open] = this.#open) {
      this.#open.shift();
      calls.push(this.#close(open));
    }
    return calls;
  }

  #close(open: OpenCall): ToolUse {
    if (!this.#offered.has(open.name)) {
      throw new ToolCallMalformedError("The model called a tool that it was not offered");
    }
    const input = readInput(open.written.join(""));
    this.#count++;
    if (open.index !== undefined) this.#told.add(open.index);
    return { type: "tool_use", toolCallId: this.#idFor(open), name: open.name, input };
  }

  /** The server's own, where it has one that no other call has: an id names one call in the whole conversation. */
  #idFor({ id }: OpenCall): string {
    let own = id;
    for (let number = this.#used.size + 1; own === undefined || this.#used.has(own); number++) own = `tc-${number}`;
    this.#used.add(own);
    return own;
  }
}

/**
 * Whether a piece begins a call although `open` has the index it names, or it names none. Ollama has given the same
 * index to every call, which then have ids of their own; vLLM has given every piece another id, but only the first a
 * name.
 */
function begins(piece: CallPiece, open: OpenCall): boolean {
  if (piece.name === undefined) return false;
  if (piece.id !== undefined && open.id !== undefined) return piece.id !== open.id;
  return piece.index === undefined;
}

/** Whether the arguments are an object that has ended. */
function isWhole({ written }: OpenCall): boolean {
  const text = written.join("");
  if (!text.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function readInput(written: string): JsonObject {
  if (written.trim() === "") return {};
  let input: unknown;
  try {
    input = JSON.parse(written);
  } catch {
    // Said below.
  }
  if (typeof input !== "object" || input === null || Array.isArray(input) || isDeeper(input, MAX_DEPTH)) {
    throw new ToolCallMalformedError("The arguments the model wrote for a tool are no JSON object that can be read");
  }
  return input as JsonObject;
}

function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return most === 0 || Object.values(value).some((inner) => isDeeper(inner, most - 1));
}

function usedIds({ messages }: GenerationRequest): string[] {
  return messages.flatMap(({ content }) =>
    typeof content === "string" ? [] : content.flatMap((block) => block.type === "tool_use" ? [block.toolCallId] : [])
  );
}
