/**
 * Assembles tool calls from streamed pieces. A call is emitted once the next one has begun and its arguments parse, or
 * at the end of the stream: nothing else marks it complete, and pieces of several calls may interleave.
 *
 * A piece is matched to a call by id, else by index, else by position in a list of several, else it belongs to the last
 * call. Observed in servers:
 * - Ollama: index 0 for every call, each with its own id and complete arguments.
 * - vLLM, LMDeploy: a new id for every piece, and a name only in the first; others repeat the name too.
 * - Gateways: a second call begins with the first one's index and continues with its own.
 * - Mistral, Ollama, LM Studio: no index; others always send -1, and some neither index nor id.
 */
import { type LongText, MAX_DEPTH } from "@inferd/client/protocol";
import { callsIn } from "../../inference/call_ids.ts";
import { ToolCallMalformedError } from "../../inference/errors.ts";
import type { GenerationRequest, JsonObject, ToolUse } from "../../inference/request.ts";
import { ObjectEnd } from "./object_end.ts";
import { RemoteNames } from "./names.ts";
import { mayCall } from "../../inference/tool_choice.ts";
import { parseJson } from "./values.ts";
import { isDeeper } from "../../inference/json_bounds.ts";

/** Longest arguments in UTF-16 units. */
const MAX_ARGUMENTS_LENGTH = 1024 * 1024;

const MAX_OPEN_CALLS = 256;

/** A piece of a call as sent by a server. */
export interface CallPiece {
  /** Index of the call in the answer, if given. */
  readonly index: number | undefined;
  /** Position among pieces sent together. */
  readonly position: number | undefined;
  readonly id: string | undefined;
  readonly name: string | undefined;
  /** Fragment to append to the arguments. */
  readonly written: string;
}

interface OpenCall {
  readonly indexes: Set<number>;
  readonly position: number | undefined;
  id: string | undefined;
  /** Every piece had a different id. */
  idsVary: boolean;
  name: string;
  written: string[];
  length: number;
  end: ObjectEnd;
}

export class ToolCalls {
  readonly #names: RemoteNames;
  readonly #offered: ReadonlySet<string>;
  /** Ids already used in the conversation. */
  readonly #used: Set<string>;
  /** Calls not emitted yet, in order of their beginning. */
  readonly #open: OpenCall[] = [];
  /** Indexes of emitted calls. */
  readonly #toldIndexes = new Set<number>();
  /** Server ids of emitted calls, with their arguments. */
  readonly #toldIds = new Map<string, string>();
  #count = 0;

  constructor(request: GenerationRequest<LongText>) {
    const { tools, toolChoice, messages } = request;
    this.#names = new RemoteNames(request);
    this.#offered = new Set(tools.filter((tool) => mayCall(tool, toolChoice)).map(({ name }) => name));
    this.#used = new Set(callsIn(messages).map(({ toolCallId }) => toolCallId));
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Add a piece.
   *
   * @returns Earlier calls completed because this piece begins another.
   * @throws {ToolCallMalformedError} If a call cannot be parsed or names a tool that was not offered.
   */
  take(piece: CallPiece): ToolUse[] {
    if (this.#isAfterthought(piece)) return [];
    let open = this.#continued(piece);
    if (open !== undefined && isRepetition(piece, open)) return [];
    const complete: ToolUse[] = [];
    if (open === undefined) {
      complete.push(...this.#closeReadable());
      if (this.#open.length === MAX_OPEN_CALLS) {
        throw new ToolCallMalformedError("The model has too many unfinished tool calls");
      }
      open = begin(piece);
      this.#open.push(open);
    }
    this.#add(piece, open);
    return complete;
  }

  /**
   * Finish all calls.
   *
   * @param options `cut`: the token limit was reached; an unparsable call is a fragment and is dropped.
   * @throws As `take`.
   */
  end({ cut }: { readonly cut: boolean }): ToolUse[] {
    const calls: ToolUse[] = [];
    for (let open = this.#open.shift(); open !== undefined; open = this.#open.shift()) {
      // Begun, and nothing said of it.
      if (open.name === "" && open.end.blank) continue;
      try {
        calls.push(this.#close(open));
      } catch (error) {
        if (!cut || !(error instanceof ToolCallMalformedError)) throw error;
      }
    }
    return calls;
  }

  /** Whether it belongs to an emitted call and must be ignored. */
  #isAfterthought({ index, id, name, written }: CallPiece): boolean {
    const told = id === undefined || this.#open.some((call) => call.id === id) ? undefined : this.#toldIds.get(id);
    const isNewIndex = index !== undefined && !this.#toldIndexes.has(index);
    // The complete call repeated, as at the end of some streams; different arguments mean another call.
    if (told !== undefined && !isNewIndex && written.trim() === told.trim()) return true;
    if (name !== undefined) return false;
    const isOpen = index !== undefined && this.#open.some((call) => call.indexes.has(index));
    if (told === undefined && (index === undefined || isOpen || !this.#toldIndexes.has(index))) return false;
    if (written.trim() !== "") throw new ToolCallMalformedError("The model goes on with a call that had ended");
    return true;
  }

  /** The open call that a piece continues; undefined if it begins a new one. */
  #continued(piece: CallPiece): OpenCall | undefined {
    const { index, position, id, name } = piece;
    const sameId = id === undefined ? undefined : this.#open.findLast((call) => call.id === id);
    // Some servers give all calls the same id and distinguish them by index.
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
    // A call begins with a name or an id, so this continues the last call under another index.
    return name === undefined && id === undefined && last?.end.ended === false ? last : undefined;
  }

  /** Whether a piece begins a new call although it could continue this one. */
  #begins(piece: CallPiece, open: OpenCall): boolean {
    const { index, id, name, written } = piece;
    const otherId = id !== undefined && open.id !== undefined && id !== open.id && !open.idsVary;
    // The name may follow the id and the first arguments.
    if (name === undefined) return otherId && index === undefined && open.end.ended;
    if (open.name === "") return otherId;
    if (name !== open.name) return otherId || !this.#isPartOfName(name, open);
    const blank = written.trim() === "";
    // The same tool again, or a server that repeats the name with another id in every piece: those go on in an object.
    if (otherId && index === undefined) {
      return blank || open.end.blank || open.end.ended || written.trimStart().startsWith("{");
    }
    if (open.end.ended) return otherId || !(blank || (id === open.id && id !== undefined && isRepetition(piece, open)));
    return otherId && blank && open.end.blank;
  }

  /** Whether the piece continues a partial name. */
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
    // Gateways to Anthropic send `{}` first and then the object.
    if (open.end.ended && name === undefined && written.trim() !== "" && isEmptyObject(open)) {
      open.written = [];
      open.end = new ObjectEnd();
    }
    open.written.push(written);
    open.end.take(written);
    open.length += written.length;
    if (open.length > MAX_ARGUMENTS_LENGTH) {
      throw new ToolCallMalformedError("The model's tool arguments are too long");
    }
  }

  /** Completes calls in order, up to the first that is incomplete. */
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
      throw new ToolCallMalformedError("The model called a tool that was not offered");
    }
    const written = open.written.join("");
    const input = readInput(written);
    this.#count++;
    for (const index of open.indexes) this.#toldIndexes.add(index);
    if (open.id !== undefined) this.#toldIds.set(open.id, written);
    return { type: "tool_use", toolCallId: this.#idFor(open), name, input };
  }

  /** The server's id if no other call has it: ids are unique within the conversation. */
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

/** Whether a piece repeats a call that is already complete. */
function isRepetition({ written }: CallPiece, open: OpenCall): boolean {
  return open.end.ended && written.trim() === open.written.join("").trim();
}

function isEmptyObject({ written, length }: OpenCall): boolean {
  // Checked by length first, to avoid joining long arguments for every chunk.
  return length < 16 && written.join("").trim() === "{}";
}

function readInput(written: string): JsonObject {
  if (written.trim() === "") return {};
  let input = parseJson(written);
  // Some servers encode the object as a JSON string, and absent arguments as `null`.
  if (typeof input === "string") input = parseJson(input);
  if (input === null) return {};
  if (typeof input !== "object" || Array.isArray(input) || isDeeper(input, MAX_DEPTH)) {
    throw new ToolCallMalformedError("The model's tool arguments are not a valid JSON object");
  }
  return input as JsonObject;
}
