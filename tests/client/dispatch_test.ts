/** Dispatch from the client's side: against the real daemon, and against servers that do not keep the rules. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ConnectError,
  ConnectionClosedError,
  dispatch,
  DispatchError,
  type Forwarded,
  forwardOrLocal,
  FrameTooLargeError,
  ProtocolError,
  TimeoutError,
} from "@inferd/client";
import { MAX_DISPATCH_BYTES } from "@inferd/client/protocol";
import { DaemonUnderTest } from "../support/daemons.ts";
import { frame } from "../support/dispatch_wire.ts";
import { type Peer, Scratch, type Script, ScriptedServer } from "./support.ts";

const ID = "1-mine";

const GOOD = {
  ok: true,
  result: '[{"ok":true,"value":1}]',
  error: null,
  namespace_mismatch: false,
  config_mismatch: false,
  served_config_id: ID,
};

/** Answers with these bytes, and hangs up where that is all there is. */
function answering(bytes: Uint8Array, then: "wait" | "hang up" = "wait"): Script {
  return async (peer: Peer) => {
    await peer.write(bytes);
    if (then === "wait") await peer.gone();
  };
}

function answeringJson(value: unknown): Script {
  return answering(frame(JSON.stringify(value)));
}

/** Counts how often it was asked to do it itself. */
class Local {
  calls: string[] = [];
  readonly run = (ops: string): string => {
    this.calls.push(ops);
    return "local";
  };
}

async function ready(): Promise<[DaemonUnderTest, string, string]> {
  const test = await DaemonUnderTest.start();
  await test.daemon.ready;
  const path = test.options.rpcSocket;
  const { servedConfigId } = await dispatch("", { path });
  return [test, path, servedConfigId ?? ""];
}

Deno.test("a client learns the daemon's config_id and has its calls run with it", async () => {
  const [test, path, configId] = await ready();
  await using _ = test;
  assertEquals(await dispatch('generate(prompt="hi"); config_id(); status()', { path }), {
    ok: false,
    results: null,
    error: null,
    namespaceMismatch: false,
    configMismatch: true,
    servedConfigId: configId,
  });
  const answer = await dispatch('generate(prompt="hi"); config_id(); generate(prompt="hi", max_tokens=1)', {
    path,
    configId,
    presentation: "text",
    presentationPerOp: [null, "json", "text"],
  });
  assertEquals(answer, {
    ok: true,
    results: [
      { ok: true, value: "This is a mock answer." },
      { ok: true, value: configId },
      { ok: true, value: "This" },
    ],
    error: null,
    namespaceMismatch: false,
    configMismatch: false,
    servedConfigId: configId,
  });
  const other = await dispatch("status()", { path, configId, namespace: "other" });
  assertEquals([other.namespaceMismatch, other.configMismatch], [true, false]);
  assert(((await dispatch("nothing()", { path, configId })).error ?? "").includes("nothing"));
});

Deno.test("calls are forwarded to the daemon that is meant", async () => {
  const [test, path, configId] = await ready();
  await using _ = test;
  const local = new Local();
  const forwarded: Forwarded<string> = await forwardOrLocal('generate(prompt="hi")', {
    path,
    configId,
    presentation: "text",
    local: local.run,
  });
  assertEquals(forwarded, { source: "daemon", results: [{ ok: true, value: "This is a mock answer." }] });
  assertEquals(local.calls, []);
});

Deno.test("calls are run locally when the daemon is another one", async () => {
  const [test, path, configId] = await ready();
  await using _ = test;
  const local = new Local();
  const options = { path, configId, local: local.run };
  assertEquals(await forwardOrLocal("a", { ...options, namespace: "other" }), {
    source: "local",
    value: "local",
    reason: "namespace_mismatch",
  });
  assertEquals(await forwardOrLocal("b", { ...options, configId: "other" }), {
    source: "local",
    value: "local",
    reason: "config_mismatch",
  });
  assertEquals(local.calls, ["a", "b"]);
  assertEquals(test.log.of("request_accepted").length, 0);
});

Deno.test("a call that cannot be read is the caller's fault and not run locally", async () => {
  const [test, path, configId] = await ready();
  await using _ = test;
  const local = new Local();
  await assertRejects(
    () => forwardOrLocal("status(); generate(", { path, configId, local: local.run }),
    DispatchError,
    "call 2",
  );
  assertEquals(local.calls, []);
});

Deno.test("calls are run locally when there is no daemon", async () => {
  await using scratch = new Scratch();
  const local = new Local();
  const options = { path: scratch.path(), configId: ID, local: local.run };
  const expected = { source: "local", value: "local", reason: "no_daemon" } as const;
  assertEquals(await forwardOrLocal("a", options), expected);
  // A socket that nobody listens on any more.
  Deno.listen({ transport: "unix", path: scratch.path("stale") }).close();
  assertEquals(await forwardOrLocal("b", { ...options, path: scratch.path("stale") }), expected);
  await Deno.writeTextFile(scratch.path("file"), "");
  assertEquals(await forwardOrLocal("c", { ...options, path: scratch.path("file") }), expected);
  assertEquals(local.calls, ["a", "b", "c"]);
  await assertRejects(() => dispatch("a", options), ConnectError);
});

const encoder = new TextEncoder();
const UNANSWERED: readonly (readonly [what: string, bytes: Uint8Array, error: typeof ProtocolError])[] = [
  ["nothing", new Uint8Array(0), ConnectionClosedError],
  ["half a length", new Uint8Array([0, 0]), ConnectionClosedError],
  ["half a frame", frame(JSON.stringify(GOOD)).subarray(0, 30), ConnectionClosedError],
  ["a length of 0", frame(""), ProtocolError],
  ["a length over the limit", frame("{}", MAX_DISPATCH_BYTES + 1), ProtocolError],
  ["another protocol", encoder.encode("HTTP/1.1 400 Bad Request\r\n\r\n"), ProtocolError],
  ["no JSON", frame("hello"), ProtocolError],
  ["no UTF-8", frame(new Uint8Array([0x22, 0xff, 0x22])), ProtocolError],
  ["no object", frame("[]"), ProtocolError],
  ["fewer fields", frame('{"ok":true,"result":"[]"}'), ProtocolError],
  ["results that are no JSON", frame(JSON.stringify({ ...GOOD, result: "[" })), ProtocolError],
  ["results that are no array", frame(JSON.stringify({ ...GOOD, result: "{}" })), ProtocolError],
  ["results without a value", frame(JSON.stringify({ ...GOOD, result: '[{"ok":true}]' })), ProtocolError],
  ["results that failed for no reason", frame(JSON.stringify({ ...GOOD, result: '[{"ok":false}]' })), ProtocolError],
  ["no results, and that all went well", frame(JSON.stringify({ ...GOOD, result: null })), ProtocolError],
];

for (const [what, bytes, error] of UNANSWERED) {
  Deno.test(`calls are run locally when the daemon answers ${what}`, async () => {
    await using scratch = new Scratch();
    const then = error === ConnectionClosedError ? "hang up" : "wait";
    await using _server = new ScriptedServer(answering(bytes, then), { path: scratch.path() });
    const local = new Local();
    const options = { path: scratch.path(), configId: ID, local: local.run };
    await assertRejects(() => dispatch("a", options), error);
    assertEquals(await forwardOrLocal("a", options), { source: "local", value: "local", reason: "no_answer" });
    assertEquals(local.calls, ["a"]);
  });
}

Deno.test("a daemon's answer counts only when it says that it has the configuration that is meant", async () => {
  const { served_config_id: _, ...unsaid } = GOOD;
  const cases = [
    [GOOD, { source: "daemon", results: [{ ok: true, value: 1 }] }],
    [unsaid, { source: "local", value: "local", reason: "config_missing" }],
    [{ ...GOOD, served_config_id: null }, { source: "local", value: "local", reason: "config_missing" }],
    [{ ...GOOD, served_config_id: `${ID} ` }, { source: "local", value: "local", reason: "config_other" }],
    [{ ...GOOD, ok: false, result: null, error: "no", served_config_id: "other" }, {
      source: "local",
      value: "local",
      reason: "config_other",
    }],
  ] as const;
  for (const [answer, expected] of cases) {
    await using scratch = new Scratch();
    await using _server = new ScriptedServer(answeringJson(answer), { path: scratch.path() });
    const local = new Local();
    assertEquals(await forwardOrLocal("a", { path: scratch.path(), configId: ID, local: local.run }), expected);
    assertEquals(local.calls.length, expected.source === "local" ? 1 : 0);
  }
});

Deno.test("an answer is read however it is cut", async () => {
  await using scratch = new Scratch();
  const bytes = frame(JSON.stringify({ ...GOOD, result: '[{"ok":true,"value":"Grüße 🦊"}]' }));
  await using _server = new ScriptedServer(async (peer) => {
    for (const byte of bytes) await peer.write(new Uint8Array([byte]));
    await peer.gone();
  }, { path: scratch.path() });
  assertEquals((await dispatch("a", { path: scratch.path() })).results, [{ ok: true, value: "Grüße 🦊" }]);
});

Deno.test("a request of more than 8 MiB is refused before anything is sent", async () => {
  await using scratch = new Scratch();
  const local = new Local();
  const options = { path: scratch.path(), configId: ID, local: local.run };
  await assertRejects(() => dispatch("x".repeat(MAX_DISPATCH_BYTES), options), FrameTooLargeError);
  await assertRejects(() => forwardOrLocal("x".repeat(MAX_DISPATCH_BYTES), options), FrameTooLargeError);
  assertEquals(local.calls, []);
});

Deno.test("a daemon that does not answer is waited for as long as was asked, and is not replaced", async () => {
  await using scratch = new Scratch();
  await using server = new ScriptedServer((peer) => peer.gone(), { path: scratch.path() });
  const local = new Local();
  const options = { path: scratch.path(), configId: ID, local: local.run };
  await assertRejects(() => forwardOrLocal("a", { ...options, timeoutMs: 20 }), TimeoutError, "within 20 ms");
  const reason = new Error("mine");
  await assertRejects(() => forwardOrLocal("a", { ...options, signal: AbortSignal.abort(reason) }), Error, "mine");
  const controller = new AbortController();
  const waiting = assertRejects(() => dispatch("a", { ...options, signal: controller.signal }), Error, "mine");
  controller.abort(reason);
  await waiting;
  await server.idle();
  assertEquals(local.calls, []);
});

Deno.test("what the local function throws is thrown", async () => {
  await using scratch = new Scratch();
  const local = (): never => {
    throw new RangeError("mine");
  };
  await assertRejects(() => forwardOrLocal("a", { path: scratch.path(), configId: ID, local }), RangeError, "mine");
});
