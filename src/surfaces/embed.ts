/**
 * Embeddings: which fields a request has, and how its frame looks. How texts become vectors, and which words a task
 * puts before them, is the backend's.
 */
import { type EmbedTask, MAX_EMBED_INPUTS, MAX_FRAME_BYTES } from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { EmbedUnsupportedError, InvalidRequestError } from "../inference/errors.ts";
import type { EmbedAnswer, EmbedRequest } from "../inference/request.ts";
import {
  type Range,
  readInteger,
  readModel,
  readOneOf,
  readRequest,
  readTexts,
  type ResolvedRequest,
  type Step,
} from "../pipeline/resolve.ts";
import type { Surface } from "./surface.ts";
import { MIN_BYTES_PER_NUMBER, VectorWriter } from "./vector_json.ts";

const TASKS: readonly EmbedTask[] = [
  "retrieval_query",
  "retrieval_document",
  "similarity",
  "classification",
  "clustering",
  "question_answering",
  "fact_verification",
  "code_retrieval_query",
];

const DIMENSIONS: Range = { min: 1, max: Number.MAX_SAFE_INTEGER, text: "an integer of at least 1" };

/** How many numbers are written in one turn of the event loop; more would keep other requests waiting. */
const NUMBERS_PER_TURN = 1 << 17;

const encoder = new TextEncoder();

/** The embeddings surface. */
export const embedSurface: Surface = {
  name: "embed",
  service: "embed",
  resolve(value: unknown): ResolvedRequest {
    const { id, fields } = readRequest(value);
    const { input, dimensions, task } = fields;
    const request: EmbedRequest = {
      input: readTexts("input", input, { of: "strings", max: MAX_EMBED_INPUTS }),
      ...(dimensions === undefined ? {} : { dimensions: readInteger("dimensions", dimensions, DIMENSIONS) }),
      ...(task === undefined ? {} : { task: readOneOf("task", task, TASKS) }),
    };
    return { id, ...readModel(fields), answer: (backend, signal) => answer({ id, request }, backend, signal) };
  },
};

async function* answer(
  { id, request }: { readonly id: string; readonly request: EmbedRequest },
  backend: Backend,
  signal: AbortSignal,
): AsyncGenerator<Step> {
  if (backend.embed === undefined) throw new EmbedUnsupportedError(`Backend "${backend.name}" does not embed`);
  const answered = await backend.embed(request, signal);
  if (answered.vectors.length !== request.input.length) {
    throw new Error(`${request.input.length} texts got ${answered.vectors.length} vectors`);
  }
  yield {
    frame: await render(answered, { id, backend: backend.name, signal }),
    stopReason: "end",
    usage: { promptTokens: answered.inputTokens, completionTokens: 0, cachedTokens: 0 },
  };
}

async function render(
  { vectors, dimensions, model, inputTokens }: EmbedAnswer,
  { id, backend, signal }: { readonly id: string; readonly backend: string; readonly signal: AbortSignal },
): Promise<string> {
  const head = `{"type":"embeddings","id":${JSON.stringify(id)},"embeddings":[`;
  const rest = { dimensions, model, usage: { input_tokens: inputTokens }, backend };
  const tail = `],${JSON.stringify(rest).slice(1)}`;
  const headBytes = encoder.encode(head + tail).length;
  checkFits(headBytes + vectors.length * dimensions * MIN_BYTES_PER_NUMBER, vectors.length, dimensions);
  const writer = new VectorWriter(dimensions);
  const written: string[] = [];
  let bytes = headBytes;
  let numbers = 0;
  for (const vector of vectors) {
    const text = writer.write(vector);
    bytes += text.length + 1;
    written.push(text);
    numbers += dimensions;
    if (numbers < NUMBERS_PER_TURN) continue;
    numbers = 0;
    await turn();
    signal.throwIfAborted();
  }
  // No comma follows the last.
  checkFits(bytes - 1, vectors.length, dimensions);
  return `${head}${written.join(",")}${tail}\n`;
}

function checkFits(bytes: number, vectors: number, dimensions: number): void {
  if (bytes <= MAX_FRAME_BYTES) return;
  throw new InvalidRequestError(
    `${vectors} vectors of ${dimensions} numbers do not fit into a frame of ${MAX_FRAME_BYTES} bytes`,
  );
}

/** Lets everybody else run first; by a timer, because the runtime hardly looks at sockets while immediates are due. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
