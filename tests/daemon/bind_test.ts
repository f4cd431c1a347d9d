/** Where the server's sockets stand, and that all or none of them do. */
import { assertEquals, assertRejects } from "@std/assert";
import { Admission } from "../../src/pipeline/admission.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { Router } from "../../src/pipeline/router.ts";
import { InferenceServer } from "../../src/server/inference_server.ts";
import { BindError } from "../../src/server/listener.ts";
import { v1Surface } from "../../src/surfaces/v1.ts";
import { LogRecorder } from "../support/log_recorder.ts";
import { Serving } from "../support/serving.ts";
import { WireClient } from "../support/wire_client.ts";

/** A server that is not bound yet, in a folder of its own. */
class Unbound implements AsyncDisposable {
  readonly log = new LogRecorder();
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  readonly path = `${this.dir}/infer.sock`;
  readonly server: InferenceServer;
  readonly #admission = new Admission({ active: 1, depth: 0 });

  constructor(port: number) {
    this.server = new InferenceServer({
      surface: v1Surface,
      pipeline: new Pipeline({
        service: "v1",
        admission: () => this.#admission,
        router: new Router([]),
        log: this.log,
      }),
      unix: { path: this.path },
      tcp: { address: { hostname: "127.0.0.1", port } },
      peers: undefined,
      log: this.log,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("neither socket stands when the port is taken", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using test = new Unbound(taken.addr.port);
  await assertRejects(() => test.server.bind(), BindError, "the port is taken");
  await assertRejects(() => Deno.lstat(test.path), Deno.errors.NotFound);
});

Deno.test("neither socket stands when the unix socket's place is not free, and both do once it is", async () => {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  await using test = new Unbound(port);
  await Deno.mkdir(test.path);
  await assertRejects(() => test.server.bind(), BindError, "it is a directory");
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
  await Deno.remove(test.path);
  await test.server.bind();
  for (const to of [test.path, port]) {
    using client = await WireClient.connect(to);
    await client.send([]);
    assertEquals((await client.frame()).code, "invalid_request");
  }
});

Deno.test("no socket is left when the server is unbound while it is being bound", async () => {
  await using test = new Unbound(0);
  const binding = test.server.bind();
  test.server.unbind();
  await binding;
  await assertRejects(() => Deno.lstat(test.path), Deno.errors.NotFound);
});

Deno.test("binding a server that is bound does nothing", async () => {
  await using serving = await Serving.start();
  await serving.server.bind();
  using client = await serving.connect();
  await client.send([]);
  assertEquals((await client.frame()).code, "invalid_request");
});

Deno.test("a second server is refused while the first one lives", async () => {
  await using serving = await Serving.start();
  await using second = new Unbound(0);
  await Deno.remove(second.dir, { recursive: true });
  await Deno.mkdir(second.dir);
  await Deno.link(serving.socketPath, second.path);
  await assertRejects(() => second.server.bind(), BindError, "in use by a running process");
});
