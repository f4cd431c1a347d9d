import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { BackendUnavailableError, InvalidRequestError } from "../../../src/inference/errors.ts";
import type { BackendEvent, Usage } from "../../../src/inference/events.ts";
import { Admission } from "../../../src/pipeline/admission.ts";
import { ClientGoneError, RequestFailedError } from "../../../src/pipeline/errors.ts";
import { type Caller, Pipeline } from "../../../src/pipeline/pipeline.ts";
import type { ResolvedRequest, StreamedAnswer, Terminal } from "../../../src/pipeline/resolve.ts";
import { Router } from "../../../src/pipeline/router.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { nextTurn } from "../../support/waiting.ts";

const USAGE: Usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
const END: BackendEvent = { type: "done", reason: "end", usage: USAGE };
const HIDDEN: BackendEvent = { type: "thinking", text: "hm" };

/** What is rendered as a line of that text. */
function line(text: string): BackendEvent {
  return { type: "text", text };
}

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
    admission: () => this.admission,
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

  handle(events: (signal: AbortSignal) => AsyncIterable<BackendEvent>): Promise<boolean> {
    return this.pipeline.handle({ id: "r1", answer: (_, signal) => ({ events: events(signal), render }) }, this.caller);
  }

  logged(): string[] {
    return this.log.records.map(({ level, msg }) => `${level} ${msg}`);
  }
}

function render(event: BackendEvent): string | Terminal<string> | undefined {
  if (event.type === "done") return { frame: "end\n", stopReason: event.reason, usage: event.usage };
  return event.type === "text" ? `${event.text}\n` : undefined;
}

async function* events(...list: (BackendEvent | Error)[]): AsyncGenerator<BackendEvent> {
  for (const event of list) {
    await Promise.resolve();
    if (event instanceof Error) throw event;
    yield event;
  }
}

Deno.test("handle sends every line and the terminal frame, logs the record and gives the permit back", async () => {
  const test = new PipelineUnderTest();
  await test.handle(() => events(line("one"), HIDDEN, line("two"), END));
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

Deno.test("handle logs what was done ahead of the model, where anything was", async () => {
  const test = new PipelineUnderTest();
  const usage = { ...USAGE, forcedTokens: 4, preparedTokens: 5, draftedTokens: 6, acceptedTokens: 0 };
  await test.handle(() => events({ type: "done", reason: "end", usage }));
  const { fields } = await test.log.next("request_done");
  const { forced_tokens, prepared_tokens, drafted_tokens, accepted_tokens } = fields;
  assertEquals([forced_tokens, prepared_tokens, drafted_tokens, accepted_tokens], [4, 5, 6, 0]);
});

Deno.test("handle sends nothing after the terminal frame", async () => {
  const test = new PipelineUnderTest();
  await test.handle(() => events(END, line("more"), END));
  assertEquals(test.frames, ["end\n"]);
});

Deno.test("handle takes no further event while there is no room", async () => {
  const test = new PipelineUnderTest();
  const room = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let taken = 0;
  test.room = room.promise;
  const handled = test.handle(async function* (): AsyncGenerator<BackendEvent> {
    taken++;
    asked.resolve();
    yield line("one");
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
      await test.handle(() => events(line("one"), error));
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
  await test.handle(() => events(line("one")));
  assertEquals(JSON.parse(test.frames[1] ?? "").code, "internal");
});

Deno.test("handle sends nothing more when the client is gone, and the breaker does not count it", async () => {
  const test = new PipelineUnderTest();
  for (let times = 0; times < 3; times++) {
    test.controller = new AbortController();
    await test.handle((signal) =>
      (async function* (): AsyncGenerator<BackendEvent> {
        yield line("one");
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
  await test.handle(async function* (): AsyncGenerator<BackendEvent> {
    try {
      for (let index = 0; index < 1000; index++) {
        if (index === 3) test.controller.abort(new ClientGoneError("gone"));
        await Promise.resolve();
        yield line(String(index));
      }
    } finally {
      ended = true;
    }
  });
  assertEquals([ended, test.frames.length <= 4], [true, true]);
});

Deno.test("handle sends one last frame when the daemon ends the request", async () => {
  const test = new PipelineUnderTest();
  await test.handle((signal) =>
    (async function* (): AsyncGenerator<BackendEvent> {
      yield line("one");
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
  test.pipeline.reject("r1", test.caller, new InvalidRequestError('got "my secret"'));
  const { fields } = await test.log.next("request_error");
  assertEquals(fields, { id: "r1", code: "invalid_request" });
});

Deno.test("the log has only the beginning of a long id", async () => {
  const test = new PipelineUnderTest();
  test.pipeline.reject("x".repeat(1000), test.caller, new InvalidRequestError("m"));
  assertEquals(String((await test.log.next("request_error")).fields.id).length, 129);
});

Deno.test("ask gives the last frame as it is, sends nothing and keeps the same records", async () => {
  const test = new PipelineUnderTest();
  const frame = { type: "done" };
  const asked = await test.pipeline.ask({
    id: "r1",
    answer: () => ({ answer: Promise.resolve(1), render: () => ({ frame, stopReason: "end", usage: USAGE }) }),
  }, test.caller);
  assertStrictEquals(asked, frame);
  assertEquals([test.frames, test.logged()], [[], ["info request_accepted", "info request_done"]]);
  assertEquals(test.admission.status().active, 0);
});

Deno.test("ask rejects with what a client would be told, and with the signal's reason when nobody is left", async () => {
  const test = new PipelineUnderTest();
  const answer = (): StreamedAnswer<string> => ({ events: events(line("one"), new Error("A bug")), render });
  const error = await assertRejects(
    () => test.pipeline.ask({ id: "r1", answer }, test.caller),
    RequestFailedError,
    "Internal error",
  );
  assertEquals(error.code, "internal");
  const gone = new ClientGoneError("gone");
  test.controller.abort(gone);
  assertStrictEquals(
    await test.pipeline.ask({ id: "r1", answer }, test.caller).catch((reason) => reason),
    gone,
  );
  assertEquals(test.logged().slice(1), ["error request_error", "info request_cancelled"]);
});

/** A request whose answer is rendered in two parts, and that tells when. */
function inTwoParts(turns: string[]): ResolvedRequest {
  return {
    id: "r1",
    answer: () => ({
      answer: Promise.resolve(["a", "b"]),
      render: (parts: string[]) => {
        turns.push(parts.shift() ?? "");
        return parts.length > 0 ? undefined : { frame: "end\n", stopReason: "end", usage: USAGE };
      },
    }),
  };
}

Deno.test("an answer that is rendered in parts lets others run between them", async () => {
  const test = new PipelineUnderTest();
  const turns: string[] = [];
  const other = nextTurn().then(() => turns.push("other"));
  await test.pipeline.handle(inTwoParts(turns), test.caller);
  await other;
  assertEquals([turns, test.frames], [["a", "other", "b"], ["end\n"]]);
});

Deno.test("an answer that is rendered in parts rests after each but the last, and goes on when it has rested", async () => {
  const turns: string[] = [];
  const resting = Promise.withResolvers<void>();
  const rested = Promise.withResolvers<void>();
  const test = new PipelineUnderTest();
  const pipeline = new Pipeline({
    service: "v1",
    admission: () => test.admission,
    router: new Router([new ControlledBackend("b1")]),
    log: test.log,
    rest: (workMs) => {
      turns.push(workMs >= 0 ? "rest" : "no time");
      resting.resolve();
      return rested.promise;
    },
  });
  const handled = pipeline.handle(inTwoParts(turns), test.caller);
  await resting.promise;
  await nextTurn();
  assertEquals(turns, ["a", "rest"]);
  rested.resolve();
  await handled;
  assertEquals([turns, test.frames], [["a", "rest", "b"], ["end\n"]]);
});

Deno.test("a request waits where its backend runs, and elsewhere when another has taken that one's place", async () => {
  const [far, local] = [new ControlledBackend("far"), new ControlledBackend("local")];
  const places = [new Admission({ active: 1, depth: 1 }), new Admission({ active: 1, depth: 1 })] as const;
  const log = new LogRecorder();
  const pipeline = new Pipeline({
    service: "v1",
    admission: (backend) => places[backend === "far" ? 0 : 1],
    router: new Router([far, local]),
    log,
  });
  const { signal } = new AbortController();
  const [first, other] = await Promise.all(places.map((admission) => admission.acquire(signal)));
  const frames: string[] = [];
  const send = (frame: string): undefined => void frames.push(frame);
  const served = pipeline.handle({ id: "r1", answer: () => ({ events: events(END), render }) }, {
    signal,
    name: "test",
    send,
  });
  assertEquals(places.map((admission) => admission.status().waiting), [1, 0]);
  far.state = "down";
  first?.[Symbol.dispose]();
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(places.map((admission) => admission.status()), [
    { active: 0, waiting: 0, depth: 1 },
    { active: 1, waiting: 1, depth: 1 },
  ]);
  other?.[Symbol.dispose]();
  await served;
  assertEquals((await log.next("request_done")).fields.backend, "local");
  assertEquals(frames, ["end\n"]);
});
