/** Who asks: tokens and headers go to the host they are for, are shown nowhere, and a refusal says what to do. */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { parseHeader, readHuggingFaceToken } from "../../src/models/transfer/access.ts";
import { parseReference } from "../../src/models/transfer/reference.ts";
import { ModelStoreError, type PullOptions, type PullSpec } from "../../src/models/store.ts";
import { type Answer, ModelServer, type SeenRequest } from "../support/model_server.ts";
import { modelBytes, TempStore } from "../support/model_store.ts";

const CONTENT = modelBytes(100_000);
const TOKEN = "hf_canaryCANARYcanary";
const HEADER = "Bearer other-canary";
const CANARIES = [TOKEN, HEADER, "canary"];

/** A Hugging Face of its own, and another host that files may lie on. */
async function withHosts(
  script: readonly Answer[],
  work: (hosts: { readonly hub: ModelServer; readonly cdn: ModelServer; readonly store: TempStore }) => Promise<void>,
): Promise<void> {
  await using hub = new ModelServer(CONTENT, script);
  await using cdn = new ModelServer(CONTENT);
  await using store = new TempStore();
  await work({ hub, cdn, store });
  // Nothing that was written down has any of it.
  for (const file of store.files()) {
    const text = new TextDecoder().decode(Deno.readFileSync(`${store.root}/${file}`));
    for (const canary of CANARIES) assert(!text.includes(canary), `${file} has ${canary}`);
  }
}

function fromHub(hub: ModelServer): PullSpec {
  const endpoint = new URL(hub.url).origin;
  const { name, url, source } = parseReference(
    "hf:owner/repo/m.gguf",
    (key) => key === "HF_ENDPOINT" ? endpoint : undefined,
  );
  return { name, url, source };
}

function asking(hub: ModelServer, more: NonNullable<PullOptions["access"]> = {}): PullOptions {
  const endpoint = new URL(hub.url).origin;
  return { backoffMs: 1, access: { endpoint, huggingFace: { token: TOKEN, from: "HF_TOKEN" }, ...more } };
}

function authorization({ headers }: SeenRequest): string | null {
  return headers.get("authorization");
}

Deno.test("the token goes to Hugging Face, and not to where that redirects", () =>
  withHosts([], async ({ hub, cdn, store }) => {
    hub.next({ status: 302, headers: { location: cdn.url } });
    await store.pull(fromHub(hub), asking(hub));
    assertEquals(hub.requests.map(authorization), [`Bearer ${TOKEN}`]);
    assertEquals(cdn.requests.map(({ headers }) => [...headers.keys()].includes("authorization")), [false]);
  }));

Deno.test("the token goes along when Hugging Face redirects to itself, and with each further try", () =>
  withHosts(
    [{ status: 307, headers: { location: "/api/resolve-cache/m.gguf" } }, { cutAfter: 50_000 }],
    async ({ hub, store }) => {
      await store.pull(fromHub(hub), asking(hub));
      assertEquals(hub.requests.map(authorization), Array(3).fill(`Bearer ${TOKEN}`));
    },
  ));

Deno.test("the token goes to no other host, also when that redirects to Hugging Face", () =>
  withHosts([], async ({ hub, cdn, store }) => {
    cdn.next({ status: 302, headers: { location: hub.url } });
    await store.pull({ name: "m", url: cdn.url }, asking(hub));
    assertEquals([...cdn.requests, ...hub.requests].map(authorization), [null, null]);
  }));

Deno.test("headers go to the host that was asked alone, and before the token", () =>
  withHosts([], async ({ hub, cdn, store }) => {
    const access = { headers: [["authorization", HEADER], ["x-more", "canary"]] } as const;
    hub.next({ status: 302, headers: { location: `${cdn.url}?signed=canary` } });
    await store.pull(fromHub(hub), asking(hub, access));
    cdn.next({ status: 302, headers: { location: hub.url } });
    await store.pull({ name: "other", url: cdn.url, sha256: undefined }, asking(hub, access));
    const [first, second] = hub.requests;
    const [redirected, asked] = cdn.requests;
    assertEquals([first, asked].map((one) => one && authorization(one)), [HEADER, HEADER]);
    assertEquals([redirected, second].map((one) => one && authorization(one)), [null, null]);
    assertEquals([first, second].map((one) => one?.headers.get("x-more")), ["canary", null]);
  }));

/** What a refusal says. */
async function refusal(status: number, options: PullOptions | undefined, url?: string): Promise<string> {
  let message = "";
  await withHosts([{ status, body: "canary" }], async ({ hub, store }) => {
    const spec = url === undefined ? fromHub(hub) : { name: "m", url: hub.urlOf(url) };
    const error = await assertRejects(() => store.pull(spec, options ?? asking(hub)), ModelStoreError);
    assertEquals([error.code, error.status, hub.requests.length], ["http", status, 1]);
    for (const canary of CANARIES) assert(!error.message.includes(canary), error.message);
    message = error.message.replaceAll(new URL(hub.url).origin, "HUB");
  });
  return message;
}

Deno.test("a refusal by Hugging Face says what to do about it", async () => {
  const what = 'Cannot pull "m" from "HUB/owner/repo/resolve/main/m.gguf": the server answers';
  assertEquals(
    await refusal(401, undefined),
    `${what} 401 Unauthorized: it does not accept the token from HF_TOKEN; create another one at HUB/settings/tokens`,
  );
  assertEquals(
    await refusal(403, undefined),
    `${what} 403 Forbidden: the token from HF_TOKEN has no access to it; request access at HUB/owner/repo with the ` +
      "account of that token",
  );
  for (const status of [401, 403]) {
    let message = "";
    await withHosts([{ status }], async ({ hub, store }) => {
      const options = { access: { endpoint: new URL(hub.url).origin } };
      message = (await assertRejects(() => store.pull(fromHub(hub), options), ModelStoreError)).message
        .replaceAll(new URL(hub.url).origin, "HUB");
    });
    assertEquals(
      message,
      `${what} ${status} ${
        status === 401 ? "Unauthorized" : "Forbidden"
      }: the model is gated, private or does not exist; request access at HUB/owner/repo, ` +
        "create a token at HUB/settings/tokens and set HF_TOKEN to it",
    );
  }
});

Deno.test("a refusal by another server says what to do about it", async () => {
  assertMatch(
    await refusal(401, {}, "/m.gguf"),
    /answers 401 Unauthorized: it needs credentials; pass them with --header 'Authorization: Bearer \.\.\.'$/,
  );
  const access = { headers: [["authorization", HEADER]] } as const;
  assertMatch(await refusal(403, { access }, "/m.gguf"), /403 Forbidden: it does not accept the given --header$/);
  assertMatch(await refusal(404, { access }, "/m.gguf"), /the server answers 404 Not Found$/);
});

Deno.test("a refusal by the host that was redirected to names that host, and asks for no token", () =>
  withHosts([], async ({ hub, cdn, store }) => {
    hub.next({ status: 302, headers: { location: `${cdn.url}?signature=canary` } });
    cdn.next({ status: 403 });
    const { message } = await assertRejects(() => store.pull(fromHub(hub), asking(hub)), ModelStoreError);
    assertMatch(
      message,
      new RegExp(`"${new URL(cdn.url).host}", where the server redirects to, answers 403 Forbidden$`),
    );
  }));

Deno.test("readHuggingFaceToken takes the variables, then the file of a login", () => {
  const dir = Deno.makeTempDirSync({ prefix: "inferd-token-" });
  try {
    const read = (env: Record<string, string>): ReturnType<typeof readHuggingFaceToken> =>
      readHuggingFaceToken((name) => env[name]);
    Deno.mkdirSync(`${dir}/.cache/huggingface`, { recursive: true });
    Deno.writeTextFileSync(`${dir}/.cache/huggingface/token`, "hf_file\n");
    Deno.writeTextFileSync(`${dir}/own`, " hf_own ");
    assertEquals(read({ HF_TOKEN: " hf_a\n", HUGGING_FACE_HUB_TOKEN: "hf_b", HOME: dir }), {
      token: "hf_a",
      from: "HF_TOKEN",
    });
    assertEquals(read({ HF_TOKEN: "", HUGGING_FACE_HUB_TOKEN: "hf_b", HOME: dir }), {
      token: "hf_b",
      from: "HUGGING_FACE_HUB_TOKEN",
    });
    const file = { token: "hf_file", from: `"${dir}/.cache/huggingface/token"` };
    assertEquals(read({ HOME: dir }), file);
    assertEquals(read({ XDG_CACHE_HOME: `${dir}/.cache` }), file);
    assertEquals(read({ HF_HOME: `${dir}/.cache/huggingface`, HOME: "/nonexistent" }), file);
    assertEquals(read({ HF_TOKEN_PATH: `${dir}/own`, HOME: dir }), { token: "hf_own", from: `"${dir}/own"` });
    for (const env of [{}, { HOME: "/nonexistent" }, { HOME: `${dir}/own` }]) assertEquals(read(env), undefined);
    for (
      const env of [{ HF_TOKEN: "two words" }, { HF_TOKEN: "a\nb" }, { HF_TOKEN: "ü" }, {
        HF_TOKEN_PATH: "/nonexistent",
      }]
    ) {
      const found = read(env);
      assert(found !== undefined && "fault" in found);
      assert(!found.fault.includes("two words") && !found.fault.includes("\n"), found.fault);
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("a token that cannot be used is complained about only when Hugging Face is asked", () =>
  withHosts([], async ({ hub, cdn, store }) => {
    const access = { endpoint: new URL(hub.url).origin, huggingFace: { fault: "The token is wrong" } };
    await store.pull({ name: "m", url: cdn.url }, { access });
    const { message } = await assertRejects(
      () => store.pull({ ...fromHub(hub), name: "n" }, { access }),
      ModelStoreError,
    );
    assertEquals([message, hub.requests.length], ["The token is wrong", 0]);
    await store.pull({ ...fromHub(hub), name: "n" }, { access: { ...access, headers: [["authorization", HEADER]] } });
  }));

Deno.test("parseHeader takes a name and a value, and repeats neither where they are wrong", () => {
  assertEquals(parseHeader("Authorization: Bearer a:b=c"), ["Authorization", "Bearer a:b=c"]);
  assertEquals(parseHeader("X-Empty:"), ["X-Empty", ""]);
  for (const text of ["canary", ": canary", "a canary: x", "X: canary\r\nHost: y", "X: \u0100canary"]) {
    assert(!assertThrows(() => parseHeader(text), ModelStoreError).message.includes("canary"), text);
  }
  for (const name of ["Range", "if-range", "HOST", "Accept-Encoding", "Content-Length"]) {
    assert(
      assertThrows(() => parseHeader(`${name}: canary`), ModelStoreError).message.includes(`"${name}" cannot be set`),
    );
  }
});
