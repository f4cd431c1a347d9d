/** How a remote backend connects: once a request, and nowhere but where the configuration says. */
import { assertEquals, assertRejects } from "@std/assert";
import { BackendUnavailableError } from "../../../../src/inference/errors.ts";
import { type Asked, OpenAiServer, words } from "../../../support/openai_server.ts";
import { PROXY_VARIABLES, withEnv } from "../../../support/environment.ts";
import { ask, NEVER, Remote, remote, textOf } from "../../../support/remote.ts";

/** A server that is closed by `end` once it has answered two requests and has read a third whole. */
async function assertSentOnce(end: (asked: Asked) => void | Promise<void>): Promise<void> {
  let count = 0;
  await using started = await Remote.start(async (asked) => {
    if (++count < 3) await asked.stream(...words("a"));
    else if (count === 3) await end(asked);
    else await asked.stream(...words("again"));
  });
  assertEquals(textOf(await started.events()), "a");
  assertEquals(textOf(await started.events()), "a");
  await assertRejects(() => started.events(), BackendUnavailableError);
  assertEquals(started.server.asked.length, 3);
  assertEquals(started.server.connections, 3);
}

Deno.test("a request is sent once when its connection dies before a byte of an answer has come", async () => {
  await assertSentOnce((asked) => asked.cut());
});

Deno.test("a request is sent once when its connection dies in the head of the answer", async () => {
  await assertSentOnce(async (asked) => {
    await asked.raw("HTTP/1.1 200");
    asked.cut();
  });
});

Deno.test("nothing goes to a proxy of the environment", async () => {
  await using proxy = new OpenAiServer((asked) => asked.stream(...words("from the proxy")));
  const { origin } = new URL(proxy.url);
  const environments = [
    Object.fromEntries(PROXY_VARIABLES.map((name) => [name, origin])),
    ...PROXY_VARIABLES.map((name) => ({ [name]: origin })),
    { ALL_PROXY: origin.replace("http:", "socks5h:") },
    { HTTP_PROXY: origin, NO_PROXY: "example.org" },
  ];
  for (const environment of environments) {
    using _ = withEnv(environment);
    await using server = new OpenAiServer((asked) => asked.stream(...words("direct")));
    const port = new URL(server.url).port;
    for (const host of ["127.0.0.1", "localhost"]) {
      const backend = remote({ baseUrl: `http://${host}:${port}/v1`, apiKey: "sk-123" });
      await backend.start(() => {}, NEVER);
      assertEquals(textOf(await Array.fromAsync(backend.generate(ask(), NEVER))), "direct");
      await backend[Symbol.asyncDispose]();
    }
    for (const baseUrl of ["http://nowhere.invalid/v1", "https://nowhere.invalid/v1", "https://127.0.0.1:9/v1"]) {
      const backend = remote({ baseUrl, apiKey: "sk-123" });
      await backend.start(() => {}, NEVER);
      await assertRejects(() => backend.generate(ask(), NEVER).next(), BackendUnavailableError, "cannot be reached");
      await backend[Symbol.asyncDispose]();
    }
    assertEquals(proxy.connections, 0, JSON.stringify(environment));
  }
});

Deno.test("the proxy that is configured is gone through, whatever the environment says", async () => {
  await using proxy = new OpenAiServer((asked) => asked.stream(...words("from the proxy")));
  await using other = new OpenAiServer((asked) => asked.stream(...words("elsewhere")));
  const { origin } = new URL(proxy.url);
  for (
    const environment of [{}, { HTTP_PROXY: new URL(other.url).origin }, { NO_PROXY: "*", no_proxy: "nowhere.invalid" }]
  ) {
    using _ = withEnv(environment);
    const backend = remote({ baseUrl: "http://nowhere.invalid/v1", proxy: origin.replace("//", "//me:a%20b@") });
    await backend.start(() => {}, NEVER);
    assertEquals(textOf(await Array.fromAsync(backend.generate(ask(), NEVER))), "from the proxy");
    await backend[Symbol.asyncDispose]();
    const asked = proxy.asked.at(-1);
    assertEquals(asked?.line, "POST http://nowhere.invalid/v1/chat/completions HTTP/1.1");
    assertEquals(asked?.headers.get("proxy-authorization"), `Basic ${btoa("me:a b")}`);
  }
  assertEquals(other.connections, 0);
});

Deno.test("a proxy is not gone through to this machine, and the log says so", async () => {
  await using proxy = new OpenAiServer((asked) => asked.stream(...words("from the proxy")));
  await using started = await Remote.start((asked) => asked.stream(...words("direct")), {
    proxy: new URL(proxy.url).origin,
  });
  assertEquals(textOf(await started.events()), "direct");
  assertEquals(proxy.connections, 0);
  assertEquals((await started.notices.logged("remote_proxy_unused")).fields, { backend: "far" });
});

Deno.test("what the environment says of proxies is as it was when a backend has started", async () => {
  for (const value of [undefined, "", "example.org"]) {
    using _ = withEnv({ NO_PROXY: value });
    const backend = remote({ baseUrl: "http://127.0.0.1:9/v1" });
    await backend.start(() => {}, NEVER);
    assertEquals(Deno.env.get("NO_PROXY"), value);
    await backend[Symbol.asyncDispose]();
  }
});
