/**
 * Calls of tools put together from pieces. A call is emitted when the next one has begun and its arguments can be read, or
 * when nothing follows: nothing else says that they are complete, and pieces of several calls may come by turns.
 *
 * A piece belongs to the call that has its id; else to the one that has its index; else to the one at its place in a
 * list of several; else to the last. What servers make of these:
 * - Ollama has given index 0 to every call, each with an id of its own and whole arguments.
 * - vLLM and LMDeploy have given every piece another id, and only the first a name; others repeat the name as well.
 * - Gateways begin a second call with the first one's index and go on with its own.
 * - Mistral, Ollama and LM Studio have sent no index, others none but -1; some send neither index nor id.
 */
import { MAX_DEPTH } from "@inferd/client/protocol";
import { ToolCallMalformedError } from "../../inference/errors.ts";
import type { GenerationRequest, JsonObject, ToolUse } from "../../inference/request.ts";
import { ObjectEnd } from "./object_end.ts";
import { RemoteNames } from "./names.ts";
import { mayCall } from "../../inference/tool_choice.ts";
import { parseJson } from "./values.ts";

/** The longest arguments, in UTF-16 units. */
const MAX_ARGUMENTS_LENGTH = 1024 * 1024;

/** The most calls that may have begun and not ended. */
const MAX_OPEN_CALLS = 256;

/** A piece of a call as a server sends it. */
export interface CallPiece {
  /** Which of the answer's calls, where the server says so. */
  readonly index: number | undefined;
  /** Which of several that came together. */
  readonly position: number | undefined;
  readonly id: string | undefined;
  readonly name: string | undefined;
  /** What is added to the arguments. */
  readonly written: string;
}

interface OpenCall {
  readonly indexes: Set<number>;
  readonly position: number | undefined;
  id: string | undefined;
  /** Every piece has brought another id. */
  idsVary: boolean;
  name: string;
  written: string[];
  length: number;
  end: ObjectEnd;
}

/** The calls of one answer. */
export class ToolCalls {
  readonly #names: RemoteNames;
  readonly #offered: ReadonlySet<string>;
  /** Ids the conversation has used. */
  readonly #used: Set<string>;
  /** Not emitted yet, in the order in which they began. */
  readonly #open: OpenCall[] = [];
  /** Indexes of calls that have been emitted. */
  readonly #toldIndexes = new Set<number>();
  /** The server's ids of calls that have been emitted, with their arguments. */
  readonly #toldIds = new Map<string, string>();
  #count = 0;

  constructor(request: GenerationRequest) {
    const { tools, toolChoice } = request;
    this.#names = new RemoteNames(request);
    this.#offered = new Set(tools.filter((tool) => mayCall(tool, toolChoice)).map(({ name }) => name));
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
    if (open !== undefined && isRepetition(piece, open)) return [];
    const complete: ToolUse[] = [];
    if (open === undefined) {
      complete.push(...this.#closeReadable());
      if (this.#open.length === MAX_OPEN_CALLS) throw new ToolCallMalformedError("The model does not end its calls");
      open = begin(piece);
      this.#open.push(open);
    }
    this.#add(piece, open);
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

  /** Whether it belongs to a call that has been emitted and cannot be extended. */
  #isAfterthought({ index, id, name, written }: CallPiece): boolean {
    const told = id === undefined || this.#open.some((call) => call.id === id) ? undefined : this.#toldIds.get(id);
    const isNewIndex = index !== undefined && !this.#toldIndexes.has(index);
    // The whole call once more, as at the end of some streams; with other arguments it is another call.
    if (told !== undefined && !isNewIndex && written.trim() === told.trim()) return true;
    if (name !== undefined) return false;
    const isOpen = index !== undefined && this.#open.some((call) => call.indexes.has(index));
    if (told === undefined && (index === undefined || isOpen || !this.#toldIndexes.has(index))) return false;
    if (written.trim() !== "") throw new ToolCallMalformedError("The model goes on with a call that had ended");
    return true;
  }

  /** The call that a chunk continues; undefined if it begins one. */
  #continued(piece: CallPiece): OpenCall | undefined {
    const { index, position, id, name } = piece;
    const sameId = id === undefined ? undefined : this.#open.findLast((call) => call.id === id);
    // Some servers give all calls one id, and only their indexes differ.
    if (sameId !== undefined && (index === undefined || sameId.indexes.has(index) || name === undefined)) {
      return this.#begins(piece, sameId) ? undefined : sameId;
    }
    const last = this.#open.at(-1);
    if (index === undefined) {
      const placed = this.#open.find((call) => call.position === position) ??
        (name === undefined && id === undefined ? this.#open[position ?? -1] ?? last : undefined);
      const own = position === undefined ? last : placed;
      return own === undefined || this.#begins(piece, own) ? undefined : own;
    }
    const own = this.#open.findLast((call) => call.indexes.has(index));
    if (own !== undefined) return this.#begins(piece, own) ? undefined : own;
    // Nothing begins without a name or an id: the last call continues under another number.
    return name === undefined && id === undefined && last?.end.ended === false ? last : undefined;
  }

  /** Whether a piece begins a call although it could go on with this one. */
  #begins(piece: CallPiece, open: OpenCall): boolean {
    const { index, id, name, written } = piece;
    const otherId = id !== undefined && open.id !== undefined && id !== open.id && !open.idsVary;
    // A name may come behind the id and the first arguments.
    if (name === undefined) return otherId && index === undefined && open.end.ended;
    if (open.name === "") return otherId;
    if (name !== open.name) return otherId || !this.#isPartOfName(name, open);
    // The same tool again, or its name with every piece.
    if (otherId && index === undefined) return true;
    const blank = written.trim() === "";
    if (open.end.ended) return otherId || !(blank || (id === open.id && id !== undefined && isRepetition(piece, open)));
    return otherId && blank && open.end.blank;
  }

  /** Whether a name continues in this chunk. */
  #isPartOfName(name: string, open: OpenCall): boolean {
    if (!open.end.blank || (this.#isOffered(open.name) && this.#isOffered(name))) return false;
    return [...this.#offered].some((offered) => this.#names.toRemote(offered).startsWith(open.name + name));
  }

  #isOffered(remote: string): boolean {
    return this.#offered.has(this.#names.toOwn(remote));
  }

  #add({ index, id, name, written }: CallPiece, open: OpenCall): void {
    if (index !== undefined) open.indexes.add(index);
    if (id !== undefined && open.id !== undefined && id !== open.id) open.idsVary = true;
    open.id ??= id;
    // Some servers repeat the name with every piece.
    if (name !== undefined && name !== open.name) open.name += name;
    // Gateways to Anthropic begin with `{}` and then write the object.
    if (open.end.ended && name === undefined && written.trim() !== "" && isEmptyObject(open)) {
      open.written = [];
      open.end = new ObjectEnd();
    }
    open.written.push(written);
    open.end.take(written);
    open.length += written.length;
    if (open.length > MAX_ARGUMENTS_LENGTH) {
      throw new ToolCallMalformedError("The model does not end a tool's arguments");
    }
  }

  /** Those that wait no more: in their order, up to the first that lacks something. */
  #closeReadable(): ToolUse[] {
    const calls: ToolUse[] = [];
    for (let [open] = this.#open; open?.end.ended; [open] = this.#open) {
      this.#open.shift();
      calls.push(this.#close(open));
    }
    return calls;
  }

  #close(open: OpenCall): ToolUse {
    const name = this.#names.toOwn(open.name);
    if (!this.#offered.has(name)) {
      throw new ToolCallMalformedError("The model called a tool that it was not offered");
    }
    const written = open.written.join("");
    const input = readInput(written);
    this.#count++;
    for (const index of open.indexes) this.#toldIndexes.add(index);
    if (open.id !== undefined) this.#toldIds.set(open.id, written);
    return { type: "tool_use", toolCallId: this.#idFor(open), name, input };
  }

  /** The server's own, where it has one that no other call has: an id names one call in the whole conversation. */
  #idFor({ id }: OpenCall): string {
    let own = id;
    for (let number = this.#used.size + 1; own === undefined || this.#used.has(own); number++) own = `tc-${number}`;
    this.#used.add(own);
    return own;
  }
}

function begin({ position, id }: CallPiece): OpenCall {
  return {
    indexes: new Set(),
    position,
    id,
    idsVary: false,
    name: "",
    written: [],
    length: 0,
    end: new ObjectEnd(),
  };
}

/** Whether a piece says of a whole call what is known. */
function isRepetition({ written }: CallPiece, open: OpenCall): boolean {
  return open.end.ended && written.trim() === open.written.join("").trim();
}

function isEmptyObject({ written, length }: OpenCall): boolean {
  // Long ones are not joined for every chunk.
  return length < 16 && written.join("").trim() === "{}";
}

function readInput(written: string): JsonObject {
  if (written.trim() === "") return {};
  let input = parseJson(written);
  // Some servers write the object as a text in JSON, and `null` where there are no arguments.
  if (typeof input === "string") input = parseJson(input);
  if (input === null) return {};
  if (typeof input !== "object" || Array.isArray(input) || isDeeper(input, MAX_DEPTH)) {
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
