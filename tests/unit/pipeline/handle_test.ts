import { assertEquals } from "@std/assert";
import type { Backend } from "../../../src/inference/backend.ts";
import { BackendUnavailableError, InvalidRequestError } from "../../../src/inference/errors.ts";
import type { Usage } from "../../../src/inference/events.ts";
import { Admission } from "../../../src/pipeline/admission.ts";
import { ClientGoneError } from "../../../src/pipeline/errors.ts";
import { type Caller, Pipeline } from "../../../src/pipeline/handle.ts";
import type { ResolvedRequest, Step } from "../../../src/pipeline/resolve.ts";
import { Router } from "../../../src/pipeline/router.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

const USAGE: Usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
const END: Step = { frame: "end\n", stopReason: "end", usage: USAGE };

/** A pipeline with one place and one backend that is never asked: what is answered is the test's. */
class PipelineUnderTest {
  readonly log = new LogRecorder();
  readonly admission = new Admission({ active: 1, depth: 0 });
  readonly breakerChanges: string[] = [];
  controller = new AbortController();
  readonly frames: string[] = [];
  room: Promise<void> | undefined;
  readonly pipeline = new Pipeline({
    service: "v1",
    admission: this.admission,
    router: new Router([new ControlledBackend("b1")], { onBreaker: (_, change) => this.breakerChanges.push(change) }),
    log: this.log,
  });

  get caller(): Caller {
    return {
      signal: this.controller.signal,
      name: "test",
      send: (frame) => {
        this.frames.push(frame);
        return this.room;
      },
    };
  }

  handle(answer: (backend: Backend, signal: AbortSignal) => AsyncIterable<Step>): Promise<void> {
    const request: ResolvedRequest = { id: "r1", answer };
    return this.pipeline.handle(request, this.caller);
  }

  logged(): string[] {
    return this.log.records.map(({ level, msg }) => `${level} ${msg}`);
  }
}

async function* steps(...list: (Step | Error)[]): AsyncGenerator<Step> {
  for (const step of list) {
    await Promise.resolve();
    if (step instanceof Error) throw step;
    yield step;
  }
}

Deno.test("handle sends every step and the terminal frame, logs the record and gives the permit back", async () => {
  const test = new PipelineUnderTest();
  await test.handle(() => steps("one\n", "", "two\n", END));
  assertEquals(test.frames, ["one\n", "two\n", "end\n"]);
  assertEquals(test.logged(), ["info request_accepted", "info request_done"]);
  const { queue_ms, first_token_ms, total_ms, ...fields } = (await test.log.next("request_done")).fields;
  assertEquals([typeof queue_ms, typeof first_token_ms, typeof total_ms], ["number", "number", "number"]);
  assertEquals(fields, {
    id: "r1",
    backend: "b1",
    tokens_in: 3,
    tokens_out: 2,
    cached_tokens: 1,
    stop_reason: "end",
  });
  assertEquals(test.admission.status().active, 0);
});

Deno.test("handle sends nothing after the terminal frame", async () => {
  const test = new PipelineUnderTest();
  await test.handle(() => steps(END, "more\n", END));
  assertEquals(test.frames, ["end\n"]);
});

Deno.test("handle takes no further step while there is no room", async () => {
  const test = new PipelineUnderTest();
  const room = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let taken = 0;
  test.room = room.promise;
  const handled = test.handle(async function* (): AsyncGenerator<Step> {
    taken++;
    asked.resolve();
    yield "one\n";
    taken++;
    await Promise.resolve();
    yield END;
  });
  await asked.promise;
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
  assertEquals(taken, 1);
  room.resolve();
  await handled;
  assertEquals(taken, 2);
});

const FAILURES: [Error, string, number][] = [
  [new BackendUnavailableError("It broke"), "backend_unavailable", 3],
  [new Error("A bug"), "internal", 3],
  [new InvalidRequestError("Too long"), "invalid_request", Infinity],
];

for (const [error, code, opensAfter] of FAILURES) {
  Deno.test(`handle ends with one ${code} frame when the answer throws a ${error.name}, and the breaker hears of it as it should`, async () => {
    const test = new PipelineUnderTest();
    for (let times = 1; times <= 4; times++) {
      test.frames.length = 0;
      await test.handle(() => steps("one\n", error));
      if (times > opensAfter) break;
      assertEquals(test.frames.length, 2);
      assertEquals(JSON.parse(test.frames[1] ?? "").code, code);
      assertEquals(test.admission.status().active, 0);
    }
    assertEquals(test.breakerChanges, opensAfter === 3 ? ["opened"] : []);
  });
}

Deno.test("handle ends with internal when the answer ends without a terminal frame", async () => {
  const test = new PipelineUnderTest();
  await test.handle(() => steps("one\n"));
  assertEquals(JSON.parse(test.frames[1] ?? "").code, "internal");
});

Deno.test("handle sends nothing more when the client is gone, and the breaker does not count it", async () => {
  const test = new PipelineUnderTest();
  for (let times = 0; times < 3; times++) {
    test.controller = new AbortController();
    await test.handle((_, signal) =>
      (async function* (): AsyncGenerator<Step> {
        yield "one\n";
        test.controller.abort(new ClientGoneError("The client closed the connection"));
        await Promise.resolve();
        throw signal.reason;
      })()
    );
  }
  assertEquals(test.frames, ["one\n", "one\n", "one\n"]);
  assertEquals(test.breakerChanges, []);
  assertEquals(test.log.of("request_done"), []);
  assertEquals((await test.log.next("request_cancelled")).fields.reason, "The client closed the connection");
  assertEquals(test.admission.status().active, 0);
});

Deno.test("handle stops asking when the client is gone though the answer takes no notice", async () => {
  const test = new PipelineUnderTest();
  let ended = false;
  await test.handle(async function* (): AsyncGenerator<Step> {
    try {
      for (let index = 0; index < 1000; index++) {
        if (index === 3) test.controller.abort(new ClientGoneError("gone"));
        await Promise.resolve();
        yield `${index}\n`;
      }
    } finally {
      ended = true;
    }
  });
  assertEquals([ended, test.frames.length <= 4], [true, true]);
});

Deno.test("handle sends one last frame when the daemon ends the request", async () => {
  const test = new PipelineUnderTest();
  await test.handle((_, signal) =>
    (async function* (): AsyncGenerator<Step> {
      yield "one\n";
      test.controller.abort(new BackendUnavailableError("The daemon is shutting down"));
      await Promise.resolve();
      throw signal.reason;
    })()
  );
  assertEquals(test.frames, [
    "one\n",
    '{"id":"r1","type":"error","code":"backend_unavailable","message":"The daemon is shutting down"}\n',
  ]);
  assertEquals(test.logged(), ["info request_accepted", "info request_cancelled"]);
});

Deno.test("the log has an invalid request's code and not its message, which repeats the caller's words", async () => {
  const test = new PipelineUnderTest();
  test.pipeline.reject("r1", test.caller, { error: new InvalidRequestError('got "my secret"') });
  const { fields } = await test.log.next("request_error");
  assertEquals(fields, { id: "r1", code: "invalid_request" });
});

Deno.test("the log has only the beginning of a long id", async () => {
  const test = new PipelineUnderTest();
  test.pipeline.reject("x".repeat(1000), test.caller, { error: new InvalidRequestError("m") });
  assertEquals(String((await test.log.next("request_error")).fields.id).length, 129);
});
