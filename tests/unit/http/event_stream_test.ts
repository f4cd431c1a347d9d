/** Streams of answers: when a piece goes out, and who ends whom. */
import { Context } from "hono";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { JSON_LINES, streamed } from "../../../src/http/event_stream.ts";
import { nextTurn } from "../../support/waiting.ts";

function context(): Context {
  return new Context(new Request("http://localhost/"));
}

const FORM = { contentType: JSON_LINES, onError: (error: unknown): string => `error: ${(error as Error).message}` };

/** What is read, write by write. */
async function* writes(response: Response): AsyncGenerator<string> {
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) yield text;
}

Deno.test("a stream gathers pieces that come together into few writes, and loses none", async () => {
  const pieces = Array.from({ length: 1000 }, (_, index) => `${index} `);
  const response = await streamed(
    context(),
    (async function* (): AsyncGenerator<string> {
      yield* pieces;
    })(),
    FORM,
  );
  const got = await Array.fromAsync(writes(response));
  assertEquals(got.join(""), pieces.join(""));
  assertEquals(got[0], "0 ", "the first is not kept");
  assert(got.length < 100, `${got.length} writes`);
});

Deno.test("a stream writes a piece that nothing follows", async () => {
  const left = Promise.withResolvers<void>();
  const never = Promise.withResolvers<void>();
  const response = await streamed(
    context(),
    (async function* (): AsyncGenerator<string> {
      try {
        yield "first ";
        yield "second ";
        await never.promise;
      } finally {
        left.resolve();
      }
    })(),
    FORM,
  );
  const reading = writes(response);
  let text = "";
  while (text.length < "first second ".length) text += (await reading.next()).value;
  assertEquals(text, "first second ");
  const end = reading.return(undefined);
  never.resolve();
  await end;
  await left.promise;
});

Deno.test("a stream ends with what was gathered and what went wrong", async () => {
  const response = await streamed(
    context(),
    (async function* (): AsyncGenerator<string> {
      yield "first ";
      yield "second ";
      throw new Error("broken");
    })(),
    FORM,
  );
  assertEquals(await response.text(), "first second error: broken");
});

Deno.test("a stream takes no more than its reader does", async () => {
  let taken = 0;
  const response = await streamed(
    context(),
    (async function* (): AsyncGenerator<string> {
      for (; taken < 1000; taken++) yield "x".repeat(100_000);
    })(),
    FORM,
  );
  // Every promise that could be settled without a reader is.
  for (let turn = 0; turn < 50; turn++) await nextTurn();
  assert(taken < 1000, `${taken} pieces were taken for nobody`);
  await response.body?.cancel();
});

Deno.test("a stream that is wrong before its first piece is no stream", async () => {
  // deno-lint-ignore require-yield
  const pieces = (async function* (): AsyncGenerator<string> {
    throw new Error("broken");
  })();
  await assertRejects(() => streamed(context(), pieces, FORM), Error, "broken");
});
