/** Retries, timeouts, the queue, listeners, schemas and refused options of requests; the events of connections. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { toStandardJsonSchema } from "@valibot/to-json-schema";
import { type as arktype } from "arktype";
import { Type as OldBox } from "@sinclair/typebox";
import { Type as Box } from "typebox";
import * as v from "valibot";
import { z } from "zod";
import {
  type ClientStatus,
  connect,
  type DebugEvent,
  InvalidRequestError,
  ObjectError,
  QueueFullError,
  TimeoutError,
  tool,
} from "@inferd/client";
import {
  answering,
  answeringV2,
  callPart,
  done,
  doneV2,
  failed,
  Scratch,
  type Script,
  ScriptedServer,
  textPart,
  token,
  withServer,
} from "./support.ts";
import { nextTurn } from "../support/waiting.ts";

/** Fails the first requests with a code, then answers. */
function failing(times: number, code: string, counted: { asked: number }): Script {
  return async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const { id } = JSON.parse(line);
      if (counted.asked++ < times) await peer.send(failed(id, code));
      else await peer.send(token(id, "a"), done(id, "a"));
    }
  };
}

Deno.test("a request is sent again when it fails with a retryable error before its first event", async () => {
  const counted = { asked: 0 };
  const seen: DebugEvent[] = [];
  await withServer(failing(2, "queue_full", counted), async (client) => {
    assertEquals(await client.generate("hi").text(), "a");
    assertEquals(counted.asked, 3);
    const retries = seen.filter((event) => event.type === "retrying");
    assertEquals(retries.map(({ attempt }) => attempt), [1, 2]);
    for (const { delayMs, attempt } of retries) {
      const middle = 250 * 2 ** (attempt - 1);
      assert(delayMs >= middle / 2 && delayMs <= middle * 1.5, `${delayMs}`);
    }
    assertEquals(seen.filter(({ type }) => type === "sent").length, 3);
    assertEquals(seen.filter(({ type }) => type === "settled").length, 1);
  }, { debug: (event) => seen.push(event) });
});

Deno.test("a request is not sent again when maxRetries is 0 or the error is not retryable", async () => {
  const counted = { asked: 0 };
  await withServer(failing(9, "queue_full", counted), async (client) => {
    await assertRejects(() => client.generate("hi", { maxRetries: 0 }).text(), QueueFullError);
  });
  assertEquals(counted.asked, 1);
  await withServer(failing(9, "invalid_request", counted), async (client) => {
    await assertRejects(() => client.generate("hi").text(), InvalidRequestError);
  });
  assertEquals(counted.asked, 2);
});

Deno.test("a request is not sent again when it fails after its first event", async () => {
  let asked = 0;
  const script: Script = async (peer) => {
    const { id } = await peer.request();
    asked++;
    await peer.send(token(id, "a"), failed(id, "queue_full"));
    await peer.gone();
  };
  await withServer(script, async (client) => {
    await assertRejects(() => client.generate("hi").text(), QueueFullError);
    assertEquals(asked, 1);
  });
});

Deno.test("timeoutMs ends a request with a TimeoutError of the client", async () => {
  const silent: Script = async (peer) => await peer.gone();
  await withServer(silent, async (client) => {
    const error = await assertRejects(() => client.generate("hi", { timeoutMs: 20 }).text(), TimeoutError, "20 ms");
    assert(error.retryable);
    await assertRejects(() => client.tokenize("hi"), TimeoutError, "30 ms");
  }, { requestTimeoutMs: 30 });
});

Deno.test("requests beyond maxConcurrent wait in the client, and all are answered", async () => {
  let running = 0;
  let most = 0;
  const script: Script = async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const { id, input } = JSON.parse(line);
      most = Math.max(most, ++running);
      await nextTurn();
      running--;
      const about = { model: "tiny", usage: { input_tokens: 1 }, backend: "scripted" };
      await peer.send({ type: "embeddings", id, embeddings: [[Number(input[0])]], dimensions: 1, ...about });
    }
  };
  await withServer(script, async (client) => {
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    const results = await Promise.all(numbers.map((number) => client.embed(String(number))));
    assertEquals(results.map(({ embeddings }) => embeddings[0]?.[0]), numbers);
    assertEquals(most, 3);
  }, { surface: "embed", maxConcurrent: 3 });
});

Deno.test("an answer that nobody reads does not keep others waiting", async () => {
  await withServer(answering("a"), async (client) => {
    const unread = client.generate("first");
    assertEquals(await client.generate("second").text(), "a");
    assertEquals(await unread.text(), "a");
  }, { maxConcurrent: 1 });
});

Deno.test("text is iterated in pieces, and listeners get the events of their type", async () => {
  await withServer(answering("Hel", "lo"), async (client) => {
    const pieces: string[] = [];
    for await (const piece of client.generate("hi").text) pieces.push(piece);
    assertEquals(pieces, ["Hel", "lo"]);
    const heard: string[] = [];
    const { text, stopReason } = await client.generate("hi")
      .on("text", (event) => heard.push(event.text))
      .on("done", ({ usage }) => heard.push(String(usage.completionTokens)))
      .result();
    assertEquals([heard, text, stopReason], [["Hel", "lo", "2"], "Hello", "end_turn"]);
  });
});

Deno.test("leaving the loop over text cancels the request", async () => {
  let isGone = false;
  await withServer(async (peer) => {
    const { id } = await peer.request();
    await peer.send(token(id, "a"));
    await peer.gone();
    isGone = true;
  }, async (client, server) => {
    for await (const _piece of client.generate("hi").text) break;
    await server.idle();
    assert(isGone);
  });
});

Deno.test("unknown options are refused, and it is said where they belong", async () => {
  await withServer(answering("a"), async (client) => {
    const wrong = (options: object): () => unknown => () => client.generate("hi", options);
    assertThrows(wrong({ maxTokens: 3 }), TypeError, '"maxTokens" belongs in the request');
    assertThrows(wrong({ temprature: 1 }), TypeError, 'unknown option "temprature"');
    const messages = [{ role: "user", content: "hi" }] as const;
    const request = { messages, temprature: 1 };
    assertThrows(() => client.generate(request), TypeError, 'unknown option "temprature"');
    await assertRejects(() => client.embed("a", { dimension: 1 } as object), TypeError, 'unknown option "dimension"');
    await assertRejects(() => connect({ timeout: 1 } as object), TypeError, 'unknown option "timeout"');
    await assertRejects(() => connect({ maxConcurrent: 0 }), RangeError, "maxConcurrent");
  });
});

Deno.test("status tells of a daemon that goes and comes back, and ends with the client", async () => {
  await using scratch = new Scratch();
  const path = scratch.path();
  const seen: ClientStatus["type"][] = [];
  const lost = Promise.withResolvers<void>();
  const first = new ScriptedServer(answering("a"), { path });
  const client = await connect({ path });
  const statuses = client.status()[Symbol.asyncIterator]();
  const following = (async () => {
    for (let next = await statuses.next(); !next.done; next = await statuses.next()) {
      seen.push(next.value.type);
      if (next.value.type === "disconnected") lost.resolve();
    }
  })();
  assertEquals(await client.generate("hi").text(), "a");
  await first[Symbol.asyncDispose]();
  await lost.promise;
  await using _second = new ScriptedServer(answering("b"), { path });
  assertEquals(await client.generate("hi").text(), "b");
  await client.close();
  await following;
  assertEquals(seen, ["disconnected", "connected", "closed"]);
});

Deno.test("a custom transport carries requests", async () => {
  await using scratch = new Scratch();
  await using _server = new ScriptedServer(answering("a"), { path: scratch.path("real.sock") });
  const targets: unknown[] = [];
  await using client = await connect({
    path: "/nowhere/infer.sock",
    transport: async (target) => {
      targets.push(target);
      const conn = await Deno.connect({ transport: "unix", path: scratch.path("real.sock") });
      const buffer = new Uint8Array(1024);
      return {
        read: () => conn.read(buffer).then((count) => count === null ? null : buffer.slice(0, count), () => null),
        write: async (bytes) => void await conn.write(bytes),
        close: () => conn.close(),
      };
    },
  });
  assertEquals(await client.generate("hi").text(), "a");
  assertEquals(targets, [{ path: "/nowhere/infer.sock" }]);
});

Deno.test("schemas of zod, valibot, arktype and TypeBox give typed values", async () => {
  const answer = (id: string): readonly unknown[] => [textPart(id, '{"name":"Ada","age":36}'), doneV2(id)];
  const { script, asked } = answeringV2(...Array.from({ length: 7 }, () => answer));
  await withServer(script, async (client) => {
    const zod = await client.generateObject("?", { schema: z.object({ name: z.string(), age: z.int() }) });
    const valibot = await client.generateObject("?", { schema: v.object({ name: v.string(), age: v.number() }) });
    const wrapped = await client.generateObject("?", {
      schema: toStandardJsonSchema(v.object({ name: v.string(), age: v.number() })),
    });
    const ark = await client.generateObject("?", { schema: arktype({ name: "string", age: "number" }) });
    const oldBox = await client.generateObject("?", {
      schema: OldBox.Object({ name: OldBox.String(), age: OldBox.Integer() }),
    });
    const box = await client.generateObject("?", { schema: Box.Object({ name: Box.String(), age: Box.Integer() }) });
    const typed: readonly { name: string; age: number }[] = [zod, valibot, wrapped, ark, oldBox, box];
    for (const { name, age } of typed) assertEquals([name, age], ["Ada", 36]);
    for (const { response_format: format } of asked) {
      assert(format?.type === "json_schema");
      assertEquals((format.schema as { type: unknown }).type, "object");
    }
    const strict = z.object({ name: z.string().refine((name) => name === "Bob", "must be Bob") });
    await assertRejects(() => client.generateObject("?", { schema: strict }), ObjectError, "must be Bob");
    await assertRejects(
      () => client.generateObject("?", { schema: v.object({ born: v.date() }) }),
      TypeError,
      'JSON Schema has nothing for "date"',
    );
  }, { surface: "v2" });
});

Deno.test("a tool with a zod schema gets the checked arguments", async () => {
  const { script, asked } = answeringV2(
    (id) => [callPart(id, ["1", "add", { a: 1, b: 2 }]), doneV2(id, { stop_reason: "tool_use" })],
    (id) => [textPart(id, "3"), doneV2(id)],
  );
  await withServer(script, async (client) => {
    const add = tool({
      description: "Adds",
      inputSchema: z.object({ a: z.number(), b: z.number().transform((b) => b * 10) }),
      run: ({ a, b }) => a + b,
    });
    await client.runTools("1 + 2?", { add }).result();
    assertEquals(asked[1]?.messages.at(-1)?.content[0], {
      type: "tool_result",
      tool_call_id: "1",
      content: [{ type: "text", text: "21" }],
    });
  }, { surface: "v2" });
});
