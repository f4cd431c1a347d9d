/** The client in a real Node process: its sources, without their types, against real sockets. */
import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { nodeMajor, transpile, transpileFile } from "../support/node_client.ts";
import {
  callPart,
  done,
  doneV2,
  failed,
  type Peer,
  Scratch,
  type Script,
  ScriptedServer,
  textPart,
  token,
} from "./support.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const FLOOD_PIECES = 400;

/** Behaves as the prompt says. */
function obeying(): Script {
  let held = 0;
  let floods = 0;
  return async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const request = JSON.parse(line);
      if (request.type === "auth") {
        if (request.key !== "key") return;
        continue;
      }
      const { id, messages: [{ content }] } = request;
      if (content === "tokens") await tokens(id, peer);
      else if (content === "fail") await peer.send(failed(id, "queue_full"));
      else if (content === "hang up") return;
      else if (content === "hang") await peer.send(token(id, "a"));
      else if (content === "how much was sent?") await peer.send(done(id, String(held)));
      else if (content === "flood") {
        const first = floods++ === 0;
        for (let piece = 0; piece < FLOOD_PIECES; piece++) {
          await peer.send(token(id, "x".repeat(32 * 1024)));
          if (first) held++;
        }
        await peer.send(done(id, "all"));
      } else throw new Error(`Unknown prompt ${content}`);
    }
  };
}

async function tokens(id: string, peer: Peer): Promise<void> {
  const frames = [token(id, "Grüße "), token(id, "🦊"), done(id, "Grüße 🦊")];
  const bytes = new TextEncoder().encode(frames.map((frame) => JSON.stringify(frame) + "\n").join(""));
  for (let at = 0; at < bytes.length; at += 7) await peer.write(bytes.subarray(at, at + 7));
}

/** Calls `add` once, then says what it heard; says how many bytes an attachment has; writes JSON under a schema. */
const obeyingV2: Script = async (peer) => {
  for (let line = await peer.line(); line !== null; line = await peer.line()) {
    const { id, messages, attachments, response_format: format } = JSON.parse(line);
    const last = messages.at(-1).content[0];
    if (format !== undefined) await peer.send(textPart(id, '{"name":"Ada"}'), doneV2(id));
    else if (attachments !== undefined) await peer.send(textPart(id, attachments[0].bytes), doneV2(id));
    else if (last.type === "tool_result") await peer.send(textPart(id, last.content[0].text), doneV2(id));
    else await peer.send(callPart(id, ["1", "add", { a: 1, b: 2 }]), doneV2(id));
  }
};

const embedding: Script = async (peer) => {
  for (let line = await peer.line(); line !== null; line = await peer.line()) {
    const { id, input } = JSON.parse(line);
    const embeddings = input.map(() => [0.6, 0.8]);
    const about = { model: "tiny", usage: { input_tokens: 1 }, backend: "scripted" };
    await peer.send({ type: "embeddings", id, embeddings, dimensions: 2, ...about });
  }
};

const ready: Script = async (peer) => {
  const status = { id: "admin", type: "status" };
  await peer.send({ ...status, status: "ready" }, { ...status, status: "draining" });
};

Deno.test({
  name: "the client works in Node over a unix socket and TCP",
  ignore: await nodeMajor() < 20,
  async fn(): Promise<void> {
    await using scratch = new Scratch();
    await transpile(join(ROOT, "client"), scratch.path("client"));
    const scenario = "tests/client/node_scenario.ts";
    await transpileFile(join(ROOT, scenario), scratch.path(scenario));
    await Deno.writeTextFile(scratch.path("package.json"), '{"type":"module"}');

    await using _infer = new ScriptedServer(obeying(), { path: scratch.path("infer.sock") });
    await using _v2 = new ScriptedServer(obeyingV2, { path: scratch.path("infer.v2.sock") });
    await using _embed = new ScriptedServer(embedding, { path: scratch.path("infer.embed.sock") });
    await using _admin = new ScriptedServer(ready, { path: scratch.path("admin.sock") });
    await using tcp = new ScriptedServer(obeying(), { port: 0 });
    const { code, stdout, stderr } = await new Deno.Command("node", {
      args: [
        scratch.path(scenario.replace(/\.ts$/, ".js")),
        scratch.path("infer.sock"),
        scratch.path("admin.sock"),
        String(tcp.port),
        scratch.dir,
      ],
    }).output();
    const text = new TextDecoder();
    assertEquals([code, text.decode(stdout), text.decode(stderr)], [0, "done\n", ""]);
  },
});
