/** A daemon whose answers a test writes, and a client of it. */
import { type Client, connect } from "@inferd/client";
import { type Peer, Scratch, type Script, ScriptedServer } from "../client/support.ts";

/** Every request, in order. */
export type Asked = Record<string, unknown>[];
/** Answers one request of generation v2. */
export type Answer = (peer: Peer, request: ReturnType<typeof JSON.parse>) => Promise<unknown>;

const about = { model: "tiny", usage: { input_tokens: 2 }, backend: "scripted" };

/**
 * Run a test with a client whose texts have as many vectors as they have characters, and of whose two documents the
 * second fits best.
 */
export async function withScriptedDaemon(
  answer: Answer,
  test: (client: Client, asked: Asked) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  const asked: Asked = [];
  const answering = (one: Answer): Script => async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const request = JSON.parse(line);
      asked.push(request);
      await one(peer, request);
    }
  };
  const embed: Answer = (peer, { id, input = [] }) =>
    peer.send({
      type: "embeddings",
      id,
      embeddings: input.map((text: string) => [text.length, 0]),
      dimensions: 2,
      ...about,
    });
  const results = [{ index: 1, score: 2 }, { index: 0, score: -1 }];
  const rank: Answer = (peer, { id }) => peer.send({ type: "rerank", id, results, ...about });
  await using _v2 = new ScriptedServer(answering(answer), { path: scratch.path("infer.v2.sock") });
  await using _embed = new ScriptedServer(answering(embed), { path: scratch.path("infer.embed.sock") });
  await using _rerank = new ScriptedServer(answering(rank), { path: scratch.path("infer.rerank.sock") });
  await using client = await connect({ path: scratch.path("infer.sock"), surface: "v2" });
  await test(client, asked);
}
