import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  admin,
  CancelledError,
  ClientClosedError,
  connect,
  ConnectError,
  ConnectionClosedError,
  ProtocolError,
  TimeoutError,
} from "@inferd/client";
import type { AdminFrame } from "@inferd/client/protocol";
import { type Peer, Scratch, type Script, ScriptedServer } from "./support.ts";

const CAPABILITIES: AdminFrame = {
  id: "admin",
  type: "status",
  status: "capabilities",
  backend: "llamacpp",
  v2: false,
  vision: false,
  audio: false,
  tools: true,
  thinking: true,
  embed: false,
  accelerator: "cpu",
  gpu_layers: 0,
};

type Plain = "starting" | "ready" | "draining";

function frame(status: Plain): AdminFrame {
  return { id: "admin", type: "status", status };
}

/** Says these frames to every reader and leaves. */
function saying(...frames: readonly unknown[]): Script {
  return async (peer) => void await peer.send(...frames);
}

/** Says these frames to every reader and stays. */
function staying(...frames: readonly unknown[]): Script {
  return async (peer) => {
    await peer.send(...frames);
    await peer.gone();
  };
}

async function withAdmin(
  script: Script,
  test: (admin: ReturnType<typeof import("@inferd/client").admin>, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  await using server = new ScriptedServer(script, { path: scratch.path("admin.sock") });
  await test(admin({ path: scratch.path("admin.sock") }), server);
}

Deno.test("watch yields every event in camelCase and ends when the daemon does", async () => {
  const loading = { id: "admin", type: "status", status: "loading_model" };
  const script = saying(
    {
      ...CAPABILITIES,
      rerank: false,
      model: "inferd-tiny",
      n_ctx: 2048,
      parallel: 4,
      state: "down",
      uptime_ms: 1500,
      phase: "mmap",
      progress: 0.5,
      template_error: { message: "Unknown filter", line: 12, format: "chatml" },
      queue: { active: 1, waiting: 2, depth: 10 },
    },
    frame("starting"),
    { ...loading, phase: "checking_local", path: "/m" },
    { ...loading, phase: "download", downloaded_bytes: 1, total_bytes: 2, source_url: "https://example.com/m" },
    { ...loading, phase: "download", downloaded_bytes: 1, total_bytes: null, source_url: "https://example.com/m" },
    { ...loading, phase: "verify", path: "/m" },
    { ...loading, phase: "quarantine", path: "/m", expected_sha256: "a", actual_sha256: "b", quarantine_path: "/q" },
    { ...loading, phase: "mmap", path: "/m" },
    { ...loading, phase: "mmap", path: "/m", progress: 0.43 },
    { ...loading, phase: "kv_cache", n_ctx: 8192 },
    frame("ready"),
    { id: "admin", type: "status", status: "restarting", phase: "checking_local", path: "/m" },
    { id: "admin", type: "status", status: "restarting", phase: "kv_cache", n_ctx: 8192 },
    { id: "admin", type: "status", status: "log_stopped", reason: "the disk is full" },
    frame("draining"),
  );
  const status = "loading_model";
  await withAdmin(script, async (admin) => {
    assertEquals(await Array.fromAsync(admin.watch()), [
      {
        status: "capabilities",
        backend: "llamacpp",
        v2: false,
        vision: false,
        audio: false,
        tools: true,
        thinking: true,
        embed: false,
        accelerator: "cpu",
        gpuLayers: 0,
        rerank: false,
        model: "inferd-tiny",
        contextTokens: 2048,
        parallel: 4,
        state: "down",
        uptimeMs: 1500,
        phase: "mmap",
        progress: 0.5,
        templateError: { message: "Unknown filter", line: 12, format: "chatml" },
        queue: { active: 1, waiting: 2, depth: 10 },
      },
      { status: "starting" },
      { status, phase: "checking_local", path: "/m" },
      { status, phase: "download", downloadedBytes: 1, totalBytes: 2, sourceUrl: "https://example.com/m" },
      { status, phase: "download", downloadedBytes: 1, totalBytes: null, sourceUrl: "https://example.com/m" },
      { status, phase: "verify", path: "/m" },
      { status, phase: "quarantine", path: "/m", expectedSha256: "a", actualSha256: "b", quarantinePath: "/q" },
      { status, phase: "mmap", path: "/m" },
      { status, phase: "mmap", path: "/m", progress: 0.43 },
      { status, phase: "kv_cache", contextTokens: 8192 },
      { status: "ready" },
      { status: "restarting", phase: "checking_local", path: "/m" },
      { status: "restarting", phase: "kv_cache", contextTokens: 8192 },
      { status: "log_stopped", reason: "the disk is full" },
      { status: "draining" },
    ]);
  });
});

Deno.test("watch passes over states, phases, types and fields it does not know", async () => {
  const script = saying(
    { id: "admin", type: "status", status: "dreaming" },
    { id: "admin", type: "status", status: "loading_model", phase: "folding" },
    { id: "admin", type: "status", status: "restarting", phase: "folding" },
    { id: "admin", type: "metrics" },
    { ...frame("ready"), since: 3 },
  );
  await withAdmin(script, async (admin) => assertEquals(await Array.fromAsync(admin.watch()), [{ status: "ready" }]));
});

Deno.test("snapshot tells that the log has stopped when it has", async () => {
  const stopped = { id: "admin", type: "status", status: "log_stopped", reason: "the disk is full" };
  await withAdmin(staying(stopped, frame("ready")), async (admin) => {
    assertEquals(await admin.snapshot(), {
      status: { status: "ready" },
      capabilities: [],
      logStopped: { reason: "the disk is full" },
    });
  });
  await withAdmin(staying(frame("ready")), async (admin) => {
    assertEquals(await admin.snapshot(), { status: { status: "ready" }, capabilities: [] });
  });
});

Deno.test("watch throws ProtocolError when a frame is not one of the admin stream", async () => {
  for (const wrong of [{ type: "status" }, { ...CAPABILITIES, v2: "yes" }, { ...CAPABILITIES, gpu_layers: null }]) {
    await withAdmin(saying(wrong, frame("ready")), async (admin) => {
      const error = await assertRejects(() => Array.fromAsync(admin.watch()), ProtocolError);
      assertStringIncludes(error.stack ?? "", "admin_test.ts");
    });
  }
});

Deno.test("watch throws ConnectError when there is no daemon", async () => {
  await using scratch = new Scratch();
  const error = await assertRejects(() => Array.fromAsync(admin({ path: scratch.path() }).watch()), ConnectError);
  assertEquals([error.code, error.retryable], ["ENOENT", true]);
  assertStringIncludes(error.stack ?? "", "admin_test.ts");
});

Deno.test("watch disconnects when its loop is left, and when an event is waited for", async () => {
  const gone = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const script: Script = async (peer, index) => {
    await peer.send(frame("starting"));
    await peer.gone();
    gone[index]?.resolve();
  };
  await withAdmin(script, async (admin) => {
    const watching = admin.watch();
    for await (const _ of watching) break;
    await gone[0]?.promise;
    const events = watching[Symbol.asyncIterator]();
    await events.next();
    const waiting = assertRejects(() => events.next(), CancelledError);
    await events.return?.();
    await waiting;
    await gone[1]?.promise;
  });
});

Deno.test("watch rejects with the signal's reason when it is aborted", async () => {
  const gone = Promise.withResolvers<void>();
  const script: Script = async (peer) => {
    await peer.send(frame("starting"));
    await peer.gone();
    gone.resolve();
  };
  await withAdmin(script, async (admin, server) => {
    const controller = new AbortController();
    const events = admin.watch({ signal: controller.signal })[Symbol.asyncIterator]();
    await events.next();
    const waiting = assertRejects(() => events.next(), Error, "mine");
    controller.abort(new Error("mine"));
    await waiting;
    await gone.promise;
    await assertRejects(() => Array.fromAsync(admin.watch({ signal: controller.signal })), Error, "mine");
    assertEquals(server.accepted, 1);
  });
});

Deno.test("watch connects only when it is iterated", async () => {
  await withAdmin(saying(frame("ready")), (admin, server) => {
    admin.watch();
    assertEquals(server.accepted, 0);
    return Promise.resolve();
  });
});

Deno.test("ready resolves when the daemon says so", async () => {
  const loaded = Promise.withResolvers<void>();
  const script: Script = async (peer) => {
    await peer.send(CAPABILITIES, frame("starting"));
    await loaded.promise;
    await peer.send(frame("ready"));
    await peer.gone();
  };
  await withAdmin(script, async (admin) => {
    let ready = false;
    const waiting = admin.ready().then(() => ready = true);
    await admin.snapshot();
    assertEquals(ready, false);
    loaded.resolve();
    await waiting;
  });
});

Deno.test("ready looks again when the daemon ends before it is ready, or is not there yet", async () => {
  await using scratch = new Scratch();
  const path = scratch.path();
  const waiting = admin({ path }).ready();
  await assertRejects(() => admin({ path }).ready({ timeoutMs: 0 }), ConnectError);
  const script: Script = (peer: Peer, index) => {
    return index === 0 ? saying(frame("draining"))(peer, index) : staying(frame("ready"))(peer, index);
  };
  await using server = new ScriptedServer(script, { path });
  await waiting;
  assertEquals(server.accepted, 2);
});

Deno.test("ready throws TimeoutError when the daemon does not get ready", async () => {
  const gone = Promise.withResolvers<void>();
  const script: Script = async (peer) => {
    await peer.send(frame("starting"));
    await peer.gone();
    gone.resolve();
  };
  await withAdmin(script, async (admin) => {
    const error = await assertRejects(() => admin.ready({ timeoutMs: 20 }), TimeoutError, "within 20 ms");
    assertStringIncludes(error.stack ?? "", "admin_test.ts");
    await gone.promise;
    await assertRejects(() => admin.ready({ timeoutMs: 0 }), TimeoutError, 'not ready but "starting"');
  });
});

Deno.test("ready gives up with the signal's reason", async () => {
  const controller = new AbortController();
  const script: Script = async (peer) => {
    await peer.send(frame("starting"));
    controller.abort(new Error("mine"));
    await peer.gone();
  };
  await withAdmin(script, async (admin) => {
    await assertRejects(() => admin.ready({ signal: controller.signal }), Error, "mine");
  });
});

Deno.test("snapshot tells the state and the capabilities that came before it, and disconnects", async () => {
  const gone = Promise.withResolvers<void>();
  const script: Script = async (peer) => {
    await peer.send(CAPABILITIES, { ...CAPABILITIES, backend: "second" }, frame("ready"), frame("draining"));
    await peer.gone();
    gone.resolve();
  };
  await withAdmin(script, async (admin) => {
    const { status, capabilities } = await admin.snapshot();
    assertEquals(status, { status: "ready" });
    assertEquals(capabilities.map(({ backend }) => backend), ["llamacpp", "second"]);
    assertEquals(Object.hasOwn(capabilities[0] ?? {}, "status"), false);
    await gone.promise;
    assertEquals(await admin.capabilities(), capabilities);
  });
});

Deno.test("snapshot fails when the daemon says nothing, ends, or is not there", async () => {
  await withAdmin(staying(), async (admin) => {
    await assertRejects(() => admin.snapshot({ timeoutMs: 20 }), TimeoutError, "within 20 ms");
  });
  await withAdmin(saying(CAPABILITIES), async (admin) => {
    await assertRejects(() => admin.snapshot(), ConnectionClosedError, "before it told its state");
  });
  await using scratch = new Scratch();
  await assertRejects(() => admin({ path: scratch.path() }).snapshot(), ConnectError);
});

Deno.test("a client's admin is where it was told", async () => {
  await using scratch = new Scratch();
  const adminPath = scratch.path("elsewhere.sock");
  await using _infer = new ScriptedServer(staying(), { path: scratch.path() });
  await using _admin = new ScriptedServer(staying(frame("ready")), { path: adminPath });
  await using client = await connect({ path: scratch.path(), adminPath });
  assertEquals((await client.admin.snapshot()).status, { status: "ready" });
});

Deno.test("closing a client ends its loops over events, and what else is asked of its admin", async () => {
  await using scratch = new Scratch();
  const adminPath = scratch.path("admin.sock");
  const both = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  let [came, went] = [0, 0];
  await using _admin = new ScriptedServer(async (peer) => {
    await peer.send(frame("starting"));
    if (++came === 2) both.resolve();
    await peer.gone();
    if (++went === 2) gone.resolve();
  }, { path: adminPath });
  await using _infer = new ScriptedServer(staying(), { path: scratch.path() });
  const client = await connect({ path: scratch.path(), adminPath });
  const seen: string[] = [];
  const started = Promise.withResolvers<void>();
  const watching = (async (): Promise<void> => {
    for await (const event of client.admin.watch()) {
      seen.push(event.status);
      started.resolve();
    }
  })();
  await started.promise;
  const later = client.admin.watch();
  const ready = client.admin.ready();
  const failed = assertRejects(() => ready, ClientClosedError, "the client was closed");
  await both.promise;
  await client.close();
  await watching;
  await failed;
  await gone.promise;
  assertEquals(seen, ["starting"]);
  assertEquals(await Array.fromAsync(later), []);
  assertThrows(() => client.admin.watch(), ClientClosedError, "the client is closed");
  await assertRejects(() => client.admin.snapshot(), ClientClosedError);
  assertEquals(came, 2);
});

Deno.test("draining a client ends its loops over events when it is closed", async () => {
  await using scratch = new Scratch();
  const adminPath = scratch.path("admin.sock");
  await using _admin = new ScriptedServer(staying(frame("ready")), { path: adminPath });
  await using _infer = new ScriptedServer(staying(), { path: scratch.path() });
  const client = await connect({ path: scratch.path(), adminPath });
  const events = client.admin.watch()[Symbol.asyncIterator]();
  assertEquals(await events.next(), { value: { status: "ready" }, done: false });
  const end = events.next();
  await client.drain();
  assertEquals((await end).done, true);
});
