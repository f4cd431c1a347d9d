/**
 * A real llama-server behind the daemon, with the built-in model. Needs `INFERD_BENCH_PEER_DIR`, a folder with
 * `llama-server`; skipped without.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { LlamaServer, PROJECT } from "../../bench/servers.ts";
import { DaemonUnderTest } from "../support/daemons.ts";

const folder = Deno.env.get("INFERD_BENCH_PEER_DIR") ?? "";

/** A daemon in front of a llama-server. */
class Chain implements AsyncDisposable {
  readonly #server: LlamaServer;
  readonly #daemon: DaemonUnderTest;

  private constructor(server: LlamaServer, daemon: DaemonUnderTest) {
    this.#server = server;
    this.#daemon = daemon;
  }

  static async start(): Promise<Chain> {
    const model = join(PROJECT, "models", "inferd-tiny.gguf");
    const server = await LlamaServer.start(folder, { model, threads: 1, parallel: 1, contextTokens: 1024 }, "chat");
    const baseUrl = `http://127.0.0.1:${server.target.port}/v1`;
    const daemon = await DaemonUnderTest.start({
      backends: [{ kind: "openai-compat", name: "far", baseUrl, model: "inferd-tiny", timeoutSecs: 60 }],
    });
    await daemon.daemon.ready;
    return new Chain(server, daemon);
  }

  /** Every frame of one answer. */
  async ask(surface: "infer" | "v2", request: Record<string, unknown>): Promise<Record<string, unknown>[]> {
    using client = await this.#daemon.surface(surface);
    await client.send({ temperature: 0, ...request });
    const frames: Record<string, unknown>[] = [];
    do frames.push(await client.frame()); while (frames.at(-1)?.type !== "done" && frames.at(-1)?.type !== "error");
    return frames;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

function said(text: string): Record<string, unknown> {
  return { role: "user", content: [{ type: "text", text }] };
}

const TOOLS = [{
  name: "get_weather",
  description: "Get the current weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}];

Deno.test({
  name: "a real server answers through the daemon: text, a refusal, a call and its result, JSON under a schema",
  ignore: folder === "",
  async fn(test): Promise<void> {
    await using chain = await Chain.start();

    await test.step("text streams, with the server's counts", async () => {
      const frames = await chain.ask("infer", {
        messages: [{ role: "user", content: "What is the capital of France?" }],
      });
      const done = frames.at(-1);
      assertEquals([done?.content, done?.stop_reason, done?.backend], ["Paris.", "end", "far"]);
      assertEquals(frames.slice(0, -1).map(({ content }) => content).join(""), "Paris.");
      assert((done?.usage as { prompt_tokens: number }).prompt_tokens > 5);
    });

    await test.step("a prompt that is too long is the caller's fault", async () => {
      const frames = await chain.ask("infer", { messages: [{ role: "user", content: "word ".repeat(3000) }] });
      assertEquals(frames[0]?.code, "invalid_request");
      assertMatch(String(frames[0]?.message), /context/);
    });

    await test.step("a tool is called, and its result comes back as a sentence", async () => {
      const question = said("What is the weather in Oslo?");
      const frames = await chain.ask("v2", { messages: [question], tools: TOOLS });
      assertEquals(frames.at(-1)?.stop_reason, "tool_use");
      const blocks = frames.slice(0, -1).map(({ block }) => block as Record<string, unknown>);
      const [call] = blocks.filter(({ type }) => type === "tool_use");
      assertEquals([call?.name, call?.input], ["get_weather", { city: "Oslo" }]);
      const result = {
        type: "tool_result",
        tool_call_id: call?.tool_call_id,
        content: [{ type: "text", text: '{"temperature": 7, "condition": "rainy"}' }],
      };
      const answer = await chain.ask("v2", {
        messages: [question, { role: "assistant", content: [call] }, { role: "user", content: [result] }],
        tools: TOOLS,
        stream: false,
      });
      assertEquals(answer.at(-1)?.stop_reason, "end_turn");
      assertMatch(JSON.stringify(answer[0]), /rainy/);
    });

    await test.step("an answer follows a schema", async () => {
      const schema = {
        type: "object",
        properties: { colour: { enum: ["red", "green"] }, count: { type: "integer", minimum: 0, maximum: 9 } },
        required: ["colour", "count"],
        additionalProperties: false,
      };
      const frames = await chain.ask("v2", {
        messages: [said("Hello!")],
        response_format: { type: "json_schema", schema },
        stream: false,
      });
      const { delta } = frames[0]?.block as { delta: string };
      const value: { colour: string; count: number } = JSON.parse(delta);
      assertEquals(Object.keys(value).sort(), ["colour", "count"]);
      assert(["red", "green"].includes(value.colour) && Number.isInteger(value.count), delta);
    });
  },
});
