import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type Client,
  ClientClosedError,
  connect,
  EmbedUnsupportedError,
  InvalidRequestError,
  ProtocolError,
  RerankUnsupportedError,
} from "@inferd/client";
import { failed, once, Scratch, type Script, ScriptedServer } from "./support.ts";

type Surface = "embed" | "rerank";

async function withSurface(
  surface: Surface,
  script: Script,
  test: (client: Client, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  await using server = new ScriptedServer(script, { path: scratch.path(`infer.${surface}.sock`) });
  await using client = await connect({ path: scratch.path(), surface, maxRetries: 0 });
  await test(client, server);
}

/** Answers every request with what this makes of it; keeps what was asked. */
function replying(answer: (request: Record<string, unknown>) => unknown): { script: Script; asked: unknown[] } {
  const asked: unknown[] = [];
  const script: Script = async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const { id, ...request } = JSON.parse(line);
      asked.push(request);
      await peer.send({ type: "progress", id }, { id, ...answer(request) as object });
    }
  };
  return { script, asked };
}

const ABOUT = { model: "tiny", usage: { input_tokens: 5 }, backend: "scripted" };

function embeddings(vectors: unknown, fields: object = {}): unknown {
  return { type: "embeddings", embeddings: vectors, dimensions: 2, ...ABOUT, ...fields };
}

Deno.test("embed returns one vector per text", async () => {
  const { script, asked } = replying(({ input }) => embeddings((input as string[]).map(() => [0.6, 0.8])));
  await withSurface("embed", script, async (client, server) => {
    assertEquals(await client.embed(["a", "b"], { dimensions: 2, task: "similarity" }), {
      embeddings: [[0.6, 0.8], [0.6, 0.8]],
      dimensions: 2,
      model: "tiny",
      usage: { promptTokens: 5 },
      backend: "scripted",
    });
    assertEquals((await client.embed("a")).embeddings, [[0.6, 0.8]]);
    assertEquals(server.accepted, 1);
  });
  assertEquals(asked, [{ input: ["a", "b"], dimensions: 2, task: "similarity" }, { input: ["a"] }]);
});

Deno.test("rerank returns the documents, the best first", async () => {
  const results = [{ index: 2, score: 4.5 }, { index: 0, score: -1 }];
  const { script, asked } = replying(() => ({ type: "rerank", results, ...ABOUT }));
  await withSurface("rerank", script, async (client) => {
    const documents = ["a", "b", "c"];
    const ranking = client.rerank("q", documents, { topN: 2 });
    documents.reverse();
    assertEquals(await ranking, {
      results: [{ index: 2, score: 4.5, document: "c" }, { index: 0, score: -1, document: "a" }],
      model: "tiny",
      usage: { promptTokens: 5 },
      backend: "scripted",
    });
    await client.rerank("q", documents);
  });
  assertEquals(asked, [{ query: "q", documents: ["a", "b", "c"], top_n: 2 }, {
    query: "q",
    documents: ["c", "b", "a"],
  }]);
});

for (
  const [surface, code, type] of [
    ["embed", "embed_unsupported", EmbedUnsupportedError],
    ["rerank", "rerank_unsupported", RerankUnsupportedError],
    ["embed", "invalid_request", InvalidRequestError],
  ] as const
) {
  Deno.test(`${surface} throws ${type.name} when the daemon answers ${code}`, async () => {
    await withSurface(surface, once((id, peer) => peer.send(failed(id, code, "Why not"))), async (client) => {
      const ask = (): Promise<unknown> => surface === "embed" ? client.embed("a") : client.rerank("a", ["b"]);
      const error = await assertRejects(ask, type, "Why not");
      assertEquals([error.code, error.retryable, error.name], [code, false, type.name]);
      assertStringIncludes(error.stack ?? "", "retrieval_test.ts");
    });
  });
}

for (
  const [surface, what, answer] of [
    ["embed", "has too few vectors", embeddings([[0.6, 0.8]])],
    ["embed", "has a vector of another length", embeddings([[0.6, 0.8], [1]])],
    ["embed", "has a vector of something else", embeddings([[0.6, 0.8], [null, 1]])],
    ["embed", "has no vectors", embeddings(null)],
    ["embed", "has no usage", embeddings([[1, 0], [1, 0]], { usage: undefined })],
    ["embed", "is of another request", embeddings([[1, 0], [1, 0]], { id: "other" })],
    ["rerank", "names no document of ours", { type: "rerank", results: [{ index: 2, score: 1 }], ...ABOUT }],
    ["rerank", "has no score", { type: "rerank", results: [{ index: 0 }], ...ABOUT }],
    ["rerank", "has results that are none", { type: "rerank", results: [1], ...ABOUT }],
  ] as const
) {
  Deno.test(`${surface} throws ProtocolError when the answer ${what}`, async () => {
    await withSurface(surface, replying(() => answer).script, async (client) => {
      const ask = (): Promise<unknown> =>
        surface === "embed" ? client.embed(["a", "b"]) : client.rerank("q", ["a", "b"]);
      await assertRejects(ask, ProtocolError, "The daemon ");
    });
  });
}

for (const surface of ["embed", "rerank"] as const) {
  Deno.test(`abort of ${surface} rejects with the signal's reason and closes the connection`, async () => {
    const asked = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const script: Script = async (peer) => {
      await peer.request();
      asked.resolve();
      await peer.gone();
      gone.resolve();
    };
    await withSurface(surface, script, async (client) => {
      const controller = new AbortController();
      const { signal } = controller;
      const waiting = surface === "embed" ? client.embed("a", { signal }) : client.rerank("a", ["b"], { signal });
      await asked.promise;
      controller.abort(new Error("mine"));
      await assertRejects(() => waiting, Error, "mine");
      await gone.promise;
    });
  });

  Deno.test(`${surface} is sent once more when its idle connection is dead`, async () => {
    const script: Script = async (peer, index) => {
      const { script } = replying(() =>
        surface === "embed" ? embeddings([[1, 0]]) : { type: "rerank", results: [], ...ABOUT }
      );
      if (index === 1) return await script(peer, index);
      const { id } = await peer.request();
      await peer.send({
        id,
        ...(surface === "embed" ? embeddings([[1, 0]]) as object : { type: "rerank", results: [], ...ABOUT }),
      });
    };
    await withSurface(surface, script, async (client, server) => {
      const ask = (): Promise<unknown> => surface === "embed" ? client.embed("a") : client.rerank("a", ["b"]);
      await ask();
      await ask();
      assertEquals(server.accepted, 2);
    });
  });

  Deno.test(`${surface} is refused by a closed client, and ended by closing`, async () => {
    const asked = Promise.withResolvers<void>();
    const script: Script = async (peer) => {
      await peer.request();
      asked.resolve();
      await peer.gone();
    };
    await withSurface(surface, script, async (client) => {
      const ask = (): Promise<unknown> => surface === "embed" ? client.embed("a") : client.rerank("a", ["b"]);
      const running = ask();
      await asked.promise;
      await client.close();
      await assertRejects(() => running, ClientClosedError, "was closed");
      await assertRejects(ask, ClientClosedError, `Cannot ${surface}: the client is closed`);
    });
  });
}
