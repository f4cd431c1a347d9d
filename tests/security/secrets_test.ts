/** What must not be written down: what was asked, what was answered, and the key. */
import { assert, assertEquals } from "@std/assert";
import { BackendUnavailableError, InvalidRequestError } from "../../src/backend/backend.ts";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { ask, Serving } from "../support/serving.ts";

const CANARY = "canary-4711";

Deno.test("no record has anything of a request or an answer but the id, however they end", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], tcp: { apiKey: CANARY } });
  {
    using client = await serving.connect();
    const wrong: unknown[] = [
      CANARY,
      [CANARY],
      { messages: CANARY },
      { messages: [CANARY] },
      { messages: [{ role: CANARY, content: CANARY }] },
      ask({ temperature: CANARY }),
      ask({ stop: CANARY }),
      ask({ grammar: { [CANARY]: CANARY } }),
      ask({ seed: CANARY }),
    ];
    for (const value of wrong) {
      await client.send(value);
      assertEquals((await client.frame()).code, "invalid_request");
    }
    const request = {
      id: "r",
      messages: [{ role: "user", content: CANARY }],
      stop: [CANARY],
      grammar: CANARY,
      [CANARY]: CANARY,
    };
    await client.send(request);
    const done = await backend.next();
    done.say(CANARY);
    done.finish();
    await client.answer();
    await client.send(request);
    (await backend.next()).fail(new InvalidRequestError(`The grammar does not parse: ${CANARY}`));
    assertEquals((await client.frame()).code, "invalid_request");
    await client.send(request);
    (await backend.next()).fail(new BackendUnavailableError("The engine has died"));
    assertEquals((await client.frame()).code, "backend_unavailable");
    await client.send(request);
    const cancelled = await backend.next();
    cancelled.say(CANARY);
    await client.frame();
    client.close();
    await serving.log.next("request_cancelled");
  }
  for (const tail of [[0x0a], [0x22, 0x0a], [0xff, 0x0a]]) {
    using client = await serving.connect();
    await client.write(CANARY);
    await client.write(new Uint8Array(tail));
    await client.rest();
  }
  for (const key of [CANARY, `${CANARY}x`]) {
    using client = await serving.connectTcp();
    await client.send({ type: "auth", key });
    await client.end();
    await client.rest();
  }
  const records = serving.log.records.map((record) => JSON.stringify(record));
  assert(records.length > 20, "the log has seen it all");
  assertEquals(records.filter((record) => record.includes(CANARY)), []);
});
