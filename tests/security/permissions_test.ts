/** Threat: whoever takes over the process that parses what clients send gets what that process may do. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { privateSocketPath } from "../../src/processes/orders.ts";
import { BUILT_INS, builtInModelFile } from "../../src/models/built_in.ts";
import { recordsIn, untilLogged } from "../support/log_file.ts";
import { Sandbox } from "../support/program.ts";
import { WireClient } from "../support/wire_client.ts";

Deno.test("the daemon keeps only what serving and restarting need when it is ready", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve([], { permissions: await box.exactPermissions() });
  await daemon.stderr.has("inferd is ready");
  // Who connects is still known, with the library's permission given back.
  const client = await Deno.connect({ transport: "unix", path: `${box.runtimeDir}/infer.sock` });
  await client.write(new TextEncoder().encode("{}\n"));
  await client.read(new Uint8Array(1024));
  client.close();
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);

  const records = Deno.readTextFileSync(`${box.dir}/logs/inferd.ndjson`).trim().split("\n");
  const record = records.map((line) => JSON.parse(line)).find(({ msg }) => msg === "permissions_left");
  const at = box.runtimeDir;
  // On the last one engines come that the monitor starts.
  const sockets = [
    ...["infer", "infer.v2", "infer.embed", "infer.rerank", "rpc", "admin"].map((name) => `${at}/${name}.sock`),
    privateSocketPath({ runtimeDir: at, lockPath: `${at}/inferd.lock` }),
  ];
  assertEquals(
    [...record.left].sort(),
    [
      ...sockets.flatMap((path) => [`net=unix:${path}`, `read=${path}`, `write=${path}`]),
      `read=${box.dir}/logs`,
      // Read again on SIGHUP.
      `read=${box.dir}/.inferd/config.json`,
      `read=${builtInModelFile({ cacheDir: "" })}`,
      `write=${at}/inferd.pid`,
      `write=${box.dir}/logs`,
    ].sort(),
  );
});

Deno.test("dispatch knows who connects when its socket is bound after the daemon gave its permissions back", async () => {
  await using box = new Sandbox();
  // A model without a configured hash: it is hashed before dispatch can say whom it speaks for.
  const model = `${box.dir}/model.gguf`;
  Deno.copyFileSync(BUILT_INS["inferd-tiny"].url, model);
  // Bytes behind the model, which only take time to be hashed.
  Deno.truncateSync(model, 512 * 1024 * 1024);
  const { stdout } = await box.run(["permissions", "serve", "--model", model]);
  await using daemon = await box.serve(["--model", model], { permissions: stdout.trim().split(" ") });
  await daemon.stderr.has("inferd is ready");
  const log = `${box.dir}/logs/inferd.ndjson`;
  await untilLogged(log, "listening", { fits: ({ surface }) => surface === "dispatch" });
  {
    using _connection = await Deno.connect({ transport: "unix", path: `${box.runtimeDir}/rpc.sock` });
    await untilLogged(log, "connection_accepted");
  }
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  const records = recordsIn(log);
  const order = records.map(({ msg, surface }) => surface === "dispatch" ? "dispatch" : msg);
  assert(order.indexOf("permissions_left") < order.indexOf("dispatch"));
  const { uid, pid } = records.find(({ msg }) => msg === "connection_accepted") ?? {};
  assertEquals([uid, pid], [Deno.uid(), Deno.pid], JSON.stringify(order));
});

Deno.test("a call is validated, and the log says nothing of its schema, when the daemon has given its permissions back", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve([], { permissions: await box.exactPermissions() });
  await daemon.stderr.has("inferd is ready");
  const secret = "CANARY";
  const inputSchema = {
    type: "object",
    // That items differ is not enforced while the call is written, and of these there is but one, spelt in many ways.
    properties: {
      cities: { type: "array", items: { type: "number", minimum: 1, maximum: 1 }, minItems: 2, uniqueItems: true },
    },
    required: ["cities"],
    description: secret,
  };
  {
    using client = await WireClient.connect(`${box.runtimeDir}/infer.v2.sock`);
    await client.send({
      messages: [{ role: "user", content: [{ type: "text", text: "What is the weather in Oslo?" }] }],
      tools: [{ name: "get_weather", description: "Weather in a city", input_schema: inputSchema }],
      tool_choice: "required",
      temperature: 0,
    });
    const end = JSON.parse((await client.answer()).at(-1) ?? "{}");
    assertEquals([end.type, end.code], ["error", "tool_call_malformed"], end.message);
    assertStringIncludes(end.message, '"uniqueItems" is violated');
  }
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  const log = Deno.readTextFileSync(`${box.dir}/logs/inferd.ndjson`);
  assertStringIncludes(log, '"tool_schema_not_enforced"');
  assert(!log.includes(secret) && !log.includes("get_weather"));
});
