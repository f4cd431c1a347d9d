/**
 * Embeddings: the fields of a request, and its frame. Computing vectors, and the prefix for each task, belong to the
 * backend.
 */
import {
  type EmbeddingsFrame,
  type EmbedTask,
  MAX_EMBED_INPUTS,
  MAX_FRAME_BYTES,
  type NumberLimits,
} from "@inferd/client/protocol";
import { EmbedUnsupportedError, InvalidRequestError } from "../inference/errors.ts";
import type { EmbedAnswer, EmbedRequest } from "../inference/request.ts";
import {
  readEntries,
  readModel,
  readNonEmptyArray,
  readNonEmptyString,
  readNumber,
  readOneOf,
  readRequest,
  type ResolvedRequest,
  type WholeAnswer,
} from "../pipeline/resolve.ts";
import type { Surface } from "./surface.ts";
import { MIN_BYTES_PER_NUMBER, roundVector, VectorWriter } from "./vector_json.ts";

export const EMBED_TASKS: readonly EmbedTask[] = [
  "retrieval_query",
  "retrieval_document",
  "similarity",
  "classification",
  "clustering",
  "question_answering",
  "fact_verification",
  "code_retrieval_query",
];

/** The vocabulary's size is the engine's to check. */
const TOKEN: NumberLimits = { min: 0, max: 2 ** 31 - 1, whole: true };

const DIMENSIONS: NumberLimits = { min: 1, whole: true };

/** How many numbers are written per turn of the event loop; more would delay other requests. */
const NUMBERS_PER_TURN = 1 << 17;

/** A frame of at least so many bytes is put together in a turn of its own, before it is sent. */
const LARGE_FRAME_BYTES = 1024 * 1024;

const encoder = new TextEncoder();

export const embedSurface: Surface = {
  name: "embed",
  service: "embed",
  read: (value) => readWith(value, textRendering),
};

/**
 * Read a request whose frame is returned as an object.
 *
 * @throws {InvalidRequestError} If it is invalid.
 */
export function readEmbed(value: unknown): ResolvedRequest<EmbeddingsFrame> {
  return readWith(value, frameRendering);
}

/** Fields of a frame other than the answer. */
interface About {
  readonly id: string;
  readonly backend: string;
}

/** Renders one answer, over several calls if it is long. */
type Rendering<R> = (answer: EmbedAnswer) => R | undefined;

function readWith<R>(value: unknown, begin: (about: About) => Rendering<R>): ResolvedRequest<R> {
  const { id, fields } = readRequest(value);
  const { input, dimensions, task } = fields;
  const request: EmbedRequest = {
    input: readInput(input, task),
    ...(dimensions === undefined ? {} : { dimensions: readNumber("dimensions", dimensions, DIMENSIONS) }),
    ...(task === undefined ? {} : { task: readOneOf("task", task, EMBED_TASKS) }),
  };
  return {
    id,
    ...readModel(fields),
    answer: (backend, signal): WholeAnswer<R, EmbedAnswer> => {
      if (backend.embed === undefined) throw new EmbedUnsupportedError(`Backend "${backend.name}" does not embed`);
      const render = begin({ id, backend: backend.name });
      return {
        answer: backend.embed(request, signal),
        render: (answer) => {
          const { vectors, inputTokens } = answer;
          if (vectors.length !== request.input.length) {
            throw new Error(`${request.input.length} texts got ${vectors.length} vectors`);
          }
          const frame = render(answer);
          const usage = { promptTokens: inputTokens, completionTokens: 0, cachedTokens: 0 };
          return frame === undefined ? undefined : { frame, stopReason: "end", usage };
        },
      };
    },
  };
}

/** Texts, or lists of token ids: these are used as they are, without what is put before a text for a task. */
function readInput(value: unknown, task: unknown): EmbedRequest["input"] {
  return readEntries("input", value, { of: "texts", max: MAX_EMBED_INPUTS }).map((one, index) => {
    const field = `input[${index}]`;
    if (!Array.isArray(one)) return readNonEmptyString(field, one);
    if (task !== undefined) throw new InvalidRequestError(`"task" goes with texts only, "${field}" has ids of tokens`);
    return readNonEmptyArray(field, one).map((token, at) => readNumber(`${field}[${at}]`, token, TOKEN));
  });
}

/** The frame as a line. */
function textRendering({ id, backend }: About): Rendering<string> {
  const written: string[] = [];
  let bytes = 0;
  let frame: string | undefined;
  return ({ vectors, dimensions, model, inputTokens }) => {
    if (frame !== undefined) return frame;
    const head = `{"type":"embeddings","id":${JSON.stringify(id)},"embeddings":[`;
    const rest = { dimensions, model, usage: { input_tokens: inputTokens }, backend };
    const tail = `],${JSON.stringify(rest).slice(1)}`;
    const headBytes = encoder.encode(head + tail).length;
    checkFits(headBytes + vectors.length * dimensions * MIN_BYTES_PER_NUMBER, vectors.length, dimensions);
    const writer = new VectorWriter(dimensions);
    for (const vector of nextOf(vectors, written.length)) {
      const text = writer.write(vector);
      written.push(written.length === 0 ? text : `,${text}`);
      bytes += text.length + 1;
    }
    if (written.length < vectors.length) return undefined;
    // No comma after the last one.
    checkFits(headBytes + bytes - 1, vectors.length, dimensions);
    frame = [head, ...written, tail, "\n"].join("");
    return bytes < LARGE_FRAME_BYTES ? frame : undefined;
  };
}

function frameRendering({ id, backend }: About): Rendering<EmbeddingsFrame> {
  const embeddings: number[][] = [];
  return ({ vectors, dimensions, model, inputTokens }) => {
    checkFits(vectors.length * dimensions * MIN_BYTES_PER_NUMBER, vectors.length, dimensions);
    for (const vector of nextOf(vectors, embeddings.length)) embeddings.push(roundVector(vector));
    if (embeddings.length < vectors.length) return undefined;
    const usage = { input_tokens: inputTokens };
    return { type: "embeddings", id, embeddings, dimensions, model, usage, backend };
  };
}

/** The vectors to render in the next turn. */
function nextOf(vectors: readonly Float32Array[], from: number): readonly Float32Array[] {
  const perTurn = Math.ceil(NUMBERS_PER_TURN / Math.max(1, vectors[0]?.length ?? 1));
  return vectors.slice(from, from + perTurn);
}

function checkFits(bytes: number, vectors: number, dimensions: number): void {
  if (bytes <= MAX_FRAME_BYTES) return;
  throw new InvalidRequestError(
    `${vectors} vectors of ${dimensions} numbers do not fit into a frame of ${MAX_FRAME_BYTES} bytes`,
  );
}
