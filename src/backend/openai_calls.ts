/**
 * Calls of tools put together from pieces. A call is told when the next one begins or nothing follows, because nothing
 * else says that its arguments are complete.
 */
import { MAX_DEPTH } from "@inferd/client/protocol";
import { type GenerationRequest, type JsonObject, ToolCallMalformedError, type ToolUse } from "./backend.ts";

/** The longest arguments, in UTF-16 units. */
const MAX_ARGUMENTS_LENGTH = 1024 * 1024;

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
  #open: OpenCall | undefined;
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
   * @returns The call before, where this piece begins another.
   * @throws {ToolCallMalformedError} If the call cannot be read, or is none of those that were offered.
   */
  take(piece: CallPiece): ToolUse | undefined {
    let complete: ToolUse | undefined;
    if (this.#open === undefined || begins(piece, this.#open)) {
      complete = this.#close();
      this.#open = { index: piece.index, id: piece.id, name: "", written: [], length: 0 };
    }
    const open = this.#open;
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
   * @param options `cut`: the tokens ran out, so that the last call may be a part of one; it is dropped then.
   * @throws As `take`.
   */
  end({ cut }: { readonly cut: boolean }): ToolUse[] {
    try {
      const last = this.#close();
      return last === undefined ? [] : [last];
    } catch (error) {
      if (cut && error instanceof ToolCallMalformedError) return [];
      throw error;
    }
  }

  #close(): ToolUse | undefined {
    const open = this.#open;
    if (open === undefined) return undefined;
    this.#open = undefined;
    if (!this.#offered.has(open.name)) {
      throw new ToolCallMalformedError("The model called a tool that it was not offered");
    }
    const input = readInput(open.written.join(""));
    this.#count++;
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
 * By the index, where there is one. Ollama has given the same to every call, which then have ids of their own; vLLM has
 * given every piece another id, but only the first a name.
 */
function begins(piece: CallPiece, open: OpenCall): boolean {
  if (piece.index !== undefined && piece.index !== open.index) return true;
  if (piece.name === undefined) return false;
  if (piece.id !== undefined && open.id !== undefined) return piece.id !== open.id;
  return piece.index === undefined;
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
