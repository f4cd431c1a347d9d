import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  BackendUnavailableError,
  CancelledError,
  type Client,
  connect,
  ConnectionClosedError,
  DaemonError,
  FrameTooLargeError,
  type GenerationEvent,
  InferdError,
  InternalError,
  InvalidRequestError,
  ProtocolError,
  QueueFullError,
} from "@inferd/client";
import { v1Codec } from "../../client/wire/frames.ts";
import { ActiveGeneration } from "../../client/active_generation.ts";
import { Gate } from "../../client/gate.ts";
import { StatusHub } from "../../client/status.ts";
import type { Pool } from "../../client/wire/pool.ts";
import { MAX_FRAME_BYTES } from "@inferd/client/protocol";
import { answering, done, failed, once, type Peer, Scratch, type Script, ScriptedServer, token } from "./support.ts";

async function withServer(
  script: Script,
  test: (client: Client, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  await using server = new ScriptedServer(script, { path: scratch.path() });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });
  await test(client, server);
}

const DONE: GenerationEvent = {
  type: "done",
  text: "Hello",
  thinking: "",
  toolCalls: [],
  usage: { promptTokens: 3, completionTokens: 2 },
  stopReason: "end_turn",
  backend: "scripted",
  toolChoiceUnsatisfied: false,
};

Deno.test("generate yields tokens and then done, in camelCase", async () => {
  await withServer(answering("Hel", "lo"), async (client) => {
    const generation = client.generate("hi");
    assertEquals(await Array.fromAsync(generation), [
      { type: "text", text: "Hel" },
      { type: "text", text: "lo" },
      DONE,
    ]);
    const { type: _, ...result } = DONE as GenerationEvent & { type: "done" };
    assertEquals(await generation.result(), result);
    assertEquals(await generation.text(), "Hello");
  });
});

Deno.test("generate is no promise, so that awaiting it does not consume it", async () => {
  await withServer(answering("Hel", "lo"), async (client) => {
    // deno-lint-ignore no-await-in-loop
    const generation = await client.generate("hi");
    assert(!("then" in generation));
    assertEquals((await Array.fromAsync(generation)).length, 3);
  });
});

Deno.test("result and text drain the answer when nobody iterates", async () => {
  await withServer(answering("Hel", "lo"), async (client) => {
    const generation = client.generate("hi");
    const both = Promise.all([generation.result(), generation.text()]);
    assertThrows(() => generation[Symbol.asyncIterator](), TypeError, "after its result was asked for");
    const [result, text] = await both;
    assertEquals(result.text, "Hello");
    assertEquals(text, "Hello");
  });
});

Deno.test("result asked for during a loop resolves when the loop is through", async () => {
  await withServer(answering("Hel", "lo"), async (client) => {
    const generation = client.generate("hi");
    const events = Array.fromAsync(generation);
    assertEquals((await generation.result()).text, "Hello");
    assertEquals((await events).length, 3);
    assertThrows(() => generation[Symbol.asyncIterator](), TypeError, "twice");
  });
});

Deno.test("generate puts every field on the wire in snake_case, and nothing that was left out", async () => {
  const lines: string[] = [];
  const script: Script = async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      lines.push(line);
      await peer.send(done(JSON.parse(line).id, ""));
    }
  };
  await withServer(script, async (client) => {
    await client.generate("hi").result();
    await client.generate({
      id: "mine",
      messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "hi" }],
      temperature: 0,
      topP: 0.5,
      topK: 0,
      maxTokens: 7,
      stream: false,
      imageTokenBudget: 70,
      grammar: "root ::= [a-z]",
      seed: 4,
      stop: ["\n"],
    }).result();
  });
  const [first, second] = lines.map((line) => JSON.parse(line));
  assertEquals(Object.keys(first), ["id", "messages"]);
  assertEquals(first.messages, [{ role: "user", content: "hi" }]);
  assert(/^[0-9a-f-]{36}$/.test(first.id));
  assertEquals(second, {
    id: "mine",
    messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "hi" }],
    temperature: 0,
    top_p: 0.5,
    top_k: 0,
    max_tokens: 7,
    stream: false,
    image_token_budget: 70,
    grammar: "root ::= [a-z]",
    seed: 4,
    stop: ["\n"],
  });
});

for (
  const [code, type, retryable] of [
    ["queue_full", QueueFullError, true],
    ["backend_unavailable", BackendUnavailableError, true],
    ["invalid_request", InvalidRequestError, false],
    ["frame_too_large", FrameTooLargeError, false],
    ["internal", InternalError, false],
    ["from_the_future", DaemonError, false],
    ["constructor", DaemonError, false],
  ] as const
) {
  Deno.test(`generate throws ${type.name} when the daemon answers ${code}`, async () => {
    await withServer(once((id, peer) => peer.send(failed(id, code, "Why not"))), async (client) => {
      const generation = client.generate("hi");
      const error = await assertRejects(() => Array.fromAsync(generation), type, "Why not");
      assertEquals([error.code, error.retryable, error.name, error.constructor], [code, retryable, type.name, type]);
      assertEquals(await assertRejects(() => generation.result()), error);
    });
  });
}

Deno.test("generate yields what came before an error in the middle of an answer", async () => {
  const script = once((id, peer) => peer.send(token(id, "Hel"), failed(id, "backend_unavailable")));
  await withServer(script, async (client) => {
    const texts: string[] = [];
    await assertRejects(async () => {
      for await (const event of client.generate("hi")) texts.push("text" in event ? event.text : "");
    }, BackendUnavailableError);
    assertEquals(texts, ["Hel"]);
  });
});

Deno.test("errors carry the stack of the caller", async function namedCaller(): Promise<void> {
  await withServer(once((id, peer) => peer.send(failed(id, "queue_full", "Full"))), async (client) => {
    function askingHere(): Promise<string> {
      return client.generate("hi").text();
    }
    const error = await assertRejects(askingHere, QueueFullError);
    assert(error.stack?.startsWith("QueueFullError: Full\n"), error.stack);
    assertStringIncludes(error.stack ?? "", "askingHere");
    assertStringIncludes(error.stack ?? "", "generation_test.ts");
  });
});

Deno.test("an error nobody asks for is no unhandled rejection", async () => {
  const answered = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(failed(id, "internal"));
    answered.resolve();
  });
  await withServer(script, async (client, server) => {
    client.generate("hi");
    client.generate("hi", { signal: AbortSignal.abort() });
    client.generate("x".repeat(MAX_FRAME_BYTES));
    await answered.promise;
    await client.close();
    // The others failed before they were sent; a rejection that is not handled fails the test.
    assertEquals(server.accepted, 1);
  });
});

Deno.test("generate throws FrameTooLargeError before it sends anything when the request is over the limit", async () => {
  await withServer(answering("x"), async (client, server) => {
    const error = await assertRejects(
      () => client.generate("x".repeat(MAX_FRAME_BYTES)).text(),
      FrameTooLargeError,
      `at most ${MAX_FRAME_BYTES}`,
    );
    assertEquals(error.code, "frame_too_large");
    assertEquals(await client.generate("hi").text(), "x");
    assertEquals(server.accepted, 1);
  });
});

Deno.test("generate throws TypeError at once when the request is not JSON", async () => {
  await withServer(answering("x"), (client) => {
    assertThrows(() => client.generate({ messages: [], seed: 1n as unknown as number }), TypeError);
    return Promise.resolve();
  });
});

Deno.test("break closes the connection and leaves no result", async () => {
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(token(id, "a"), token(id, "b"));
    await peer.gone();
    gone.resolve();
  });
  await withServer(script, async (client) => {
    const generation = client.generate("hi");
    for await (const event of generation) {
      assertEquals("text" in event ? event.text : "", "a");
      break;
    }
    await gone.promise;
    await assertRejects(() => generation.result(), CancelledError);
  });
});

Deno.test("an exception in the loop closes the connection", async () => {
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(token(id, "a"));
    await peer.gone();
    gone.resolve();
  });
  await withServer(script, async (client) => {
    await assertRejects(async () => {
      for await (const _ of client.generate("hi")) throw new Error("mine");
    }, "mine");
    await gone.promise;
  });
});

Deno.test("break at the done event keeps result and connection", async () => {
  await withServer(answering("Hel", "lo"), async (client, server) => {
    const generation = client.generate("hi");
    for await (const event of generation) if (event.type === "done") break;
    assertEquals(await generation.text(), "Hello");
    await client.generate("hi").text();
    assertEquals(server.accepted, 1);
  });
});

Deno.test("return cancels when the loop was never started", async () => {
  const gone = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const script: Script = async (peer) => {
    await peer.request();
    asked.resolve();
    await peer.gone();
    gone.resolve();
  };
  await withServer(script, async (client) => {
    const generation = client.generate("hi");
    await asked.promise;
    await generation[Symbol.asyncIterator]().return?.();
    await gone.promise;
    await assertRejects(() => generation.result(), CancelledError);
  });
});

Deno.test("return cancels while an event is waited for", async () => {
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(token(id, "a"));
    await peer.gone();
    gone.resolve();
  });
  await withServer(script, async (client) => {
    const events = client.generate("hi")[Symbol.asyncIterator]();
    await events.next();
    const waiting = assertRejects(() => events.next(), CancelledError);
    assertEquals(await events.return?.(), { done: true, value: undefined });
    await waiting;
    await gone.promise;
  });
});

Deno.test("a request cancelled before it was sent leaves its connection to the next", async () => {
  await withServer(answering("x"), async (client, server) => {
    await client.generate("hi")[Symbol.asyncIterator]().return?.();
    assertEquals(await client.generate("hi").text(), "x");
    assertEquals(server.accepted, 1);
  });
});

Deno.test("abort rejects with the signal's reason and closes the connection", async (t) => {
  for (const reason of [new Error("mine"), "a string", undefined]) {
    await t.step(`with ${reason}`, async () => {
      const gone = Promise.withResolvers<void>();
      const script = once(async (id, peer) => {
        await peer.send(token(id, "a"));
        await peer.gone();
        gone.resolve();
      });
      await withServer(script, async (client) => {
        const controller = new AbortController();
        const generation = client.generate("hi", { signal: controller.signal });
        const events = generation[Symbol.asyncIterator]();
        await events.next();
        const waiting = events.next().then(() => "no", (error: unknown) => error);
        controller.abort(reason);
        assertEquals(await waiting, controller.signal.reason);
        assertEquals(await generation.result().catch((error: unknown) => error), controller.signal.reason);
        assertEquals(await events.next(), { done: true, value: undefined });
        await gone.promise;
      });
    });
  }
});

Deno.test("cancelling gives up connecting", async () => {
  let connecting: AbortSignal | undefined;
  const never = (signal: AbortSignal): Promise<never> => {
    connecting = signal;
    return new Promise(() => {});
  };
  const pool = { lease: never, leaseNew: never } as unknown as Pool;
  const generation = new ActiveGeneration(v1Codec({ messages: [] }), {
    pool,
    gate: new Gate(1),
    hub: new StatusHub(),
    call: new Error(),
    onSettled: () => {},
  });
  assertEquals(connecting?.aborted, false);
  generation.cancel(new Error("mine"));
  assertEquals(connecting?.aborted, true);
  await assertRejects(() => generation.text(), Error, "mine");
});

Deno.test("abort between two events is heeded at the next one though more are there", async () => {
  await withServer(answering("a", "b", "c"), async (client) => {
    const controller = new AbortController();
    const texts: string[] = [];
    const error = await assertRejects(async () => {
      for await (const event of client.generate("hi", { signal: controller.signal })) {
        texts.push("text" in event ? event.text : "");
        controller.abort(new Error("mine"));
      }
    });
    assertEquals([texts, (error as Error).message], [["a"], "mine"]);
  });
});

Deno.test("generate asks nobody when its signal is aborted already", async () => {
  await withServer(answering("x"), async (client, server) => {
    const signal = AbortSignal.abort(new Error("mine"));
    await assertRejects(() => client.generate("hi", { signal }).text(), Error, "mine");
    await assertRejects(() => Array.fromAsync(client.generate("hi", { signal })), Error, "mine");
    assertEquals(await client.generate("hi").text(), "x");
    assertEquals(server.accepted, 1);
  });
});

Deno.test("generate removes its abort listener however it ends", async () => {
  const script: Script = async (peer, index) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const { id } = JSON.parse(line);
      if (index === 0) await peer.send(token(id, "a"), done(id, "a"));
      else await peer.send(token(id, "a"), failed(id, "internal"));
    }
  };
  await withServer(script, async (client, server) => {
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      return addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      return removeEventListener.apply(signal, args);
    };
    await client.generate("hi", { signal }).text();
    assertEquals(listeners, 0);
    for await (const _ of client.generate("hi", { signal })) break;
    assertEquals(listeners, 0);
    await assertRejects(() => client.generate("hi", { signal }).text(), InternalError);
    assertEquals(listeners, 0);
    assertEquals(server.accepted, 2);
    controller.abort();
  });
});

Deno.test("nothing is read while nobody takes events, though a neighbour gets all of its answer", async () => {
  const pieces = 200;
  const sent = [0, 0];
  const script: Script = async (peer, index) => {
    const { id } = await peer.request();
    for (let piece = 0; piece < pieces; piece++) {
      await peer.send(token(id, "x".repeat(64 * 1024)));
      sent[index] = piece + 1;
    }
    await peer.send(done(id, "all"));
    await peer.gone();
  };
  await withServer(script, async (client) => {
    const held = client.generate("hi");
    const heldEvents = held[Symbol.asyncIterator]();
    await heldEvents.next();
    assertEquals((await Array.fromAsync(client.generate("hi"))).length, pieces + 1);
    assertEquals(sent[1], pieces);
    assert(Number(sent[0]) < 30, `${sent[0]} pieces went out`);
    while (!(await heldEvents.next()).done);
    assertEquals(await held.text(), "all");
  });
});

Deno.test("events survive any split of the bytes, also within a character", async () => {
  const texts = ["Grüße", " aus ", "東京 🦊", '"\\\n', "\u0000", "\u2028"];
  await withServer(
    once(async (id, peer) => {
      const frames = [...texts.map((text) => token(id, text)), done(id, texts.join(""))];
      const bytes = new TextEncoder().encode(frames.map((frame) => JSON.stringify(frame) + "\n").join(""));
      for (const byte of bytes) await peer.write(Uint8Array.of(byte));
    }),
    async (client) => {
      const events = await Array.fromAsync(client.generate("hi"));
      assertEquals(events.map((event) => ("text" in event ? event.text : "")), [...texts, texts.join("")]);
    },
  );
});

Deno.test("frames of unknown types, unknown fields and blank lines are passed over", async () => {
  const script = once(async (id, peer) => {
    await peer.send({ id, type: "progress", percent: 3 }, { type: "weather" }, { ...token(id, "a"), extra: 1 });
    await peer.write("\n  \n\r\n");
    await peer.send(done(id, "a"));
  });
  await withServer(script, async (client) => {
    assertEquals((await Array.fromAsync(client.generate("hi"))).map((event) => event.type), ["text", "done"]);
  });
});

Deno.test("a last frame without newline before the end counts", async () => {
  const script: Script = async (peer) => {
    const { id } = await peer.request();
    await peer.write(JSON.stringify(done(id, "all")));
  };
  await withServer(script, async (client) => assertEquals(await client.generate("hi").text(), "all"));
});

Deno.test("10 000 tokens arrive in order", async () => {
  const tokens = Array.from({ length: 10_000 }, (_, index) => ` t${index}`);
  await withServer(answering(...tokens), async (client) => {
    const events = await Array.fromAsync(client.generate("hi"));
    assertEquals(events.length, 10_001);
    assertEquals(events.slice(0, -1).map((event) => ("text" in event ? event.text : "")), tokens);
    const last = events.at(-1);
    assertEquals(last?.type === "done" ? last.text : "", tokens.join(""));
  });
});

Deno.test("next called ahead gets events in order", async () => {
  await withServer(answering("a", "b", "c"), async (client) => {
    const events = client.generate("hi")[Symbol.asyncIterator]();
    const ahead = await Promise.all([events.next(), events.next(), events.next(), events.next(), events.next()]);
    assertEquals(ahead.map(({ value }) => value?.text), ["a", "b", "c", "abc", undefined]);
  });
});

for (
  const [what, line] of [
    ["is not JSON", "hello\n"],
    ["is not an object", "[1]\n"],
    ["is null", "null\n"],
    ["has no type", "{}\n"],
    ["belongs to another request", JSON.stringify(token("other", "a")) + "\n"],
    ["ends another request", JSON.stringify(done("other", "a")) + "\n"],
    ["fails another request", JSON.stringify(failed("other", "internal")) + "\n"],
    ["lacks its content", '{"id":"mine","type":"token"}\n'],
    ["has no usage", JSON.stringify({ ...done("mine", "a"), usage: null }) + "\n"],
    ["has a wrong usage", JSON.stringify({ ...done("mine", "a"), usage: { prompt_tokens: "3" } }) + "\n"],
    ["fails without a code", '{"id":"mine","type":"error","message":"no"}\n'],
    ["is not UTF-8", Uint8Array.of(0x22, 0xff, 0x22, 0x0a)],
  ] as const
) {
  Deno.test(`generate throws ProtocolError and closes the connection when a frame ${what}`, async () => {
    const gone = Promise.withResolvers<void>();
    const script = once(async (_id, peer) => {
      await peer.write(line);
      await peer.gone();
      gone.resolve();
    });
    await withServer(script, async (client) => {
      const error = await assertRejects(
        () => client.generate({ id: "mine", messages: [] }).text(),
        ProtocolError,
        "The daemon ",
      );
      assertEquals(error.retryable, false);
      await gone.promise;
    });
  });
}

Deno.test("generate throws ProtocolError when a frame is endless, having kept no more than the limit", async () => {
  const script = once(async (_id, peer) => {
    const chunk = new Uint8Array(1024 * 1024).fill(0x78);
    for (let i = 0; i < 66 && await peer.write(chunk); i++);
  });
  await withServer(script, async (client) => {
    await assertRejects(() => client.generate("hi").text(), ProtocolError, `more than ${MAX_FRAME_BYTES} bytes`);
  });
});

for (
  const [what, write] of [
    ["before a byte", () => Promise.resolve()],
    ["between frames", (id: string, peer: Peer) => peer.send(token(id, "a"))],
    ["within a frame", (id: string, peer: Peer) => peer.write(JSON.stringify(done(id, "a")).slice(0, -5))],
    ["within a character", (_id: string, peer: Peer) => peer.write(new TextEncoder().encode('{"a":"ü').slice(0, -1))],
  ] as const
) {
  Deno.test(`generate throws ConnectionClosedError when the daemon hangs up ${what}`, async () => {
    const script: Script = async (peer) => {
      const { id } = await peer.request();
      await write(id, peer);
    };
    await withServer(script, async (client, server) => {
      const error = await assertRejects(() => client.generate("hi").text(), ConnectionClosedError);
      assertInstanceOf(error, InferdError);
      assertEquals(error.retryable, true);
      // Asked again only where nothing was answered.
      assertEquals(server.accepted, what === "before a byte" ? 2 : 1);
    });
  });
}

Deno.test("an answer that comes before the whole request was read is taken", async () => {
  const script: Script = async (peer) => {
    await peer.send(failed("", "frame_too_large", "Too long"));
    await peer.gone();
  };
  await withServer(script, async (client) => {
    await assertRejects(() => client.generate("x".repeat(8_000_000)).text(), FrameTooLargeError, "Too long");
  });
});
