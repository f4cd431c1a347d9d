import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Backend } from "../../../src/inference/backend.ts";
import { EmbedUnsupportedError, InvalidRequestError } from "../../../src/inference/errors.ts";
import type { EmbedAnswer, EmbedRequest } from "../../../src/inference/request.ts";
import { embedSurface } from "../../../src/surfaces/embed.ts";
import { type Step, stepsOf } from "../../support/answer.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";
import { nextTurn } from "../../support/waiting.ts";

function answering(answer: Partial<EmbedAnswer>): { backend: Backend; asked: EmbedRequest[] } {
  const asked: EmbedRequest[] = [];
  const backend = Object.assign(new ControlledBackend("b"), {
    embed: (request: EmbedRequest) => {
      asked.push(request);
      return Promise.resolve({ vectors: [], dimensions: 2, model: "m", inputTokens: 7, ...answer });
    },
  });
  return { backend, asked };
}

async function steps(request: Record<string, unknown>, backend: Backend): Promise<Step[]> {
  return await stepsOf(embedSurface.read(request), backend);
}

Deno.test("resolve hands on texts, dimensions and task, and nothing else", async () => {
  const { backend, asked } = answering({ vectors: [Float32Array.of(1, 0)] });
  await steps({ input: ["a"], model: "x", user: "y" }, backend);
  await steps({ input: [" "], dimensions: 2, task: "clustering" }, backend);
  assertEquals(asked, [{ input: ["a"] }, { input: [" "], dimensions: 2, task: "clustering" }]);
});

Deno.test("an answer is one terminal frame", async () => {
  const { backend } = answering({ vectors: [Float32Array.of(1, 0), Float32Array.of(0, -1)] });
  assertEquals(await steps({ id: 'i"', input: ["a", "b"] }, backend), [{
    frame: '{"type":"embeddings","id":"i\\"","embeddings":[[1.000000000,0.000000000],[0.000000000,-1.000000000]],' +
      '"dimensions":2,"model":"m","usage":{"input_tokens":7},"backend":"b"}\n',
    stopReason: "end",
    usage: { promptTokens: 7, completionTokens: 0, cachedTokens: 0 },
  }]);
});

Deno.test("an answer that is not one vector for each text is a failure", async () => {
  const { backend } = answering({ vectors: [Float32Array.of(1, 0)] });
  await assertRejects(() => steps({ input: ["a", "b"] }, backend), Error, "2 texts got 1 vectors");
  const { backend: broken } = answering({ vectors: [Float32Array.of(NaN, 0)] });
  await assertRejects(() => steps({ input: ["a"] }, broken), Error, "A vector of unit length holds NaN");
});

Deno.test("an answer is refused when only its minus signs are too much for a frame", async () => {
  const dimensions = 2700;
  const vector = new Float32Array(dimensions).fill(-Math.sqrt(1 / dimensions));
  const { backend } = answering({ vectors: Array(2048).fill(vector), dimensions });
  await assertRejects(
    () => steps({ input: Array(2048).fill("a") }, backend),
    InvalidRequestError,
    "2048 vectors of 2700 numbers do not fit into a frame of 67108864 bytes",
  );
});

Deno.test("a large answer lets others run, and stops when nobody waits for it", async () => {
  const controller = new AbortController();
  const vector = Float32Array.from({ length: 1024 }, (_, index) => index === 0 ? 1 : 0);
  const { backend } = answering({ vectors: Array(1024).fill(vector), dimensions: 1024 });
  const collected = stepsOf(embedSurface.read({ input: Array(1024).fill("a") }), backend, controller);
  void nextTurn().then(() => controller.abort(new TypeError("gone")));
  await assertRejects(() => collected, TypeError, "gone");
});

Deno.test("a backend that does not embed is refused, and so is what is no object", async () => {
  await assertRejects(() => steps({ input: ["a"] }, new ControlledBackend("b")), EmbedUnsupportedError);
  assertThrows(
    () => embedSurface.read([]),
    InvalidRequestError,
    "A request must be a JSON object, got an empty array",
  );
});
