import { assertEquals, assertRejects } from "@std/assert";
import type { Backend } from "../../../src/inference/backend.ts";
import { RerankUnsupportedError } from "../../../src/inference/errors.ts";
import type { RerankRequest } from "../../../src/inference/request.ts";
import { rerankSurface } from "../../../src/surfaces/rerank.ts";
import { type Step, stepsOf } from "../../support/answer.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";

function scoring(...scores: number[]): { backend: Backend; asked: RerankRequest[] } {
  const asked: RerankRequest[] = [];
  const backend = Object.assign(new ControlledBackend("b"), {
    rerank: (request: RerankRequest) => {
      asked.push(request);
      return Promise.resolve({ scores, model: "m", inputTokens: 7 });
    },
  });
  return { backend, asked };
}

async function steps(request: Record<string, unknown>, backend: Backend): Promise<Step[]> {
  return await stepsOf(rerankSurface.read(request), backend);
}

Deno.test("a backend is asked for all documents whatever top_n is", async () => {
  const { backend, asked } = scoring(1, 2);
  await steps({ query: "q", documents: ["a", "b"], top_n: 1, model: "x" }, backend);
  assertEquals(asked, [{ query: "q", documents: ["a", "b"] }]);
});

Deno.test("raw scores of any size are sorted, equal ones in input order, and cut", async () => {
  const { backend } = scoring(-1.5, 3, 0, 3, -12.25);
  const documents = ["a", "b", "c", "d", "e"];
  assertEquals(await steps({ id: "i", query: "q", documents, top_n: 4 }, backend), [{
    frame: '{"type":"rerank","id":"i","results":[{"index":1,"score":3},{"index":3,"score":3},{"index":2,"score":0},' +
      '{"index":0,"score":-1.5}],"model":"m","usage":{"input_tokens":7},"backend":"b"}\n',
    stopReason: "end",
    usage: { promptTokens: 7, completionTokens: 0, cachedTokens: 0 },
  }]);
});

Deno.test("an answer that is not one number for each document is a failure", async () => {
  const request = { query: "q", documents: ["a", "b"] };
  await assertRejects(() => steps(request, scoring(1).backend), Error, "2 documents got 1 scores");
  await assertRejects(() => steps(request, scoring(1, NaN).backend), Error, "A document got the score NaN");
});

Deno.test("a backend that makes no scores is refused", async () => {
  const request = { query: "q", documents: ["a"] };
  await assertRejects(() => steps(request, new ControlledBackend("b")), RerankUnsupportedError);
});
