import { assertEquals, assertMatch } from "@std/assert";
import type { DaemonOptions } from "../../../../src/config/options.ts";
import { checkRemotes } from "../../../../src/cli/doctor/remotes.ts";
import { daemonOptions } from "../../../support/daemons.ts";

Deno.test("checkRemotes says through which proxy each remote backend asks, and which proxy is not used", async () => {
  const remote = { kind: "openai-compat", model: "m", timeoutSecs: 300 } as const;
  const proxy = "http://me:secret@proxy.example:3128";
  const backends = [
    { ...remote, name: "a", baseUrl: "https://models.example/v1" },
    { ...remote, name: "b", baseUrl: "https://models.example/v1", proxy },
    { ...remote, name: "c", baseUrl: "http://10.0.0.7:8000/v1", proxy },
    { kind: "mock", name: "d", script: {} } as const,
  ];
  const findings = await checkRemotes(daemonOptions("/d", { backends }), () => Promise.resolve({ status: 404 }));
  assertEquals(findings.map(({ level, message }) => `${level} ${message}`), [
    'ok Backend "a" is reached at "models.example" directly; the environment\'s proxies are not used',
    'ok Backend "b" is reached at "models.example" through the proxy "proxy.example:3128"',
    'warn Backend "c" does not use its proxy: "10.0.0.7" is on this machine or in a private network',
  ]);
});

Deno.test("checkRemotes says that a server is down, wants another key, or has another model", async () => {
  let answer = (): Response => Response.json({ object: "list", data: [{ id: "some-model" }, { id: "other" }] });
  const asked: (string | null)[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.push(`${new URL(request.url).pathname} ${request.headers.get("authorization")}`);
    return answer();
  });
  const at = `http://127.0.0.1:${server.addr.port}/v1`;
  const remote = { kind: "openai-compat", name: "far", baseUrl: at, timeoutSecs: 300, apiKey: "k" } as const;
  const spare = { kind: "mock", name: "spare", script: {} } as const;
  const problems = async (backends: DaemonOptions["backends"]): Promise<string[]> =>
    (await checkRemotes(daemonOptions("/d", { backends }))).filter(({ level }) => level !== "ok")
      .map(({ level, message, help }) => `${level} ${message}; ${help}`);
  assertEquals(await problems([{ ...remote, model: "other" }]), []);
  assertEquals(asked, ["/v1/models Bearer k"]);
  assertEquals(await problems([{ ...remote, model: "some-modle" }]), [
    'fail Backend "far" has no model "some-modle"; did you mean "some-model"?; ' +
    'Set "model" to one that it has: "some-model", "other"',
  ]);
  answer = () => new Response(null, { status: 401 });
  assertEquals(await problems([{ ...remote, model: "other", apiKeyEnv: "FAR_KEY" }, spare]), [
    'warn Backend "far" refuses to answer: status 401; Correct the key in FAR_KEY, or "api_key_env"',
  ]);
  // A port that nobody listens at any more.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const gone = `http://127.0.0.1:${listener.addr.port}/v1`;
  listener.close();
  const [down = ""] = await problems([{ ...remote, model: "m", baseUrl: gone }, spare]);
  assertMatch(down, /^warn Backend "far" cannot be reached at "http:.*": .*refused/);
});
