/** Requests of megabytes are written in pieces, so that whoever sends them can serve others. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ByteStream, CancelledError, connect, FrameTooLargeError } from "@inferd/client";
import { MAX_FRAME_BYTES } from "@inferd/client/protocol";
import { nextTurn } from "../support/waiting.ts";
import { done, token } from "./support.ts";

const encoder = new TextEncoder();

/** A daemon that takes a piece when the test lets it, and answers when it has a line. */
class SlowDaemon implements ByteStream {
  readonly pieces: Uint8Array[] = [];
  closed = false;
  #room = Promise.withResolvers<void>();
  #answer = Promise.withResolvers<Uint8Array | null>();

  get text(): string {
    const decoding = new TextDecoder();
    return this.pieces.map((piece) => decoding.decode(piece, { stream: true })).join("");
  }

  /** Take everything from now on. */
  take(): void {
    this.#room.resolve();
  }

  answer(...frames: readonly unknown[]): void {
    this.#answer.resolve(encoder.encode(frames.map((frame) => `${JSON.stringify(frame)}\n`).join("")));
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.pieces.push(bytes);
    if (bytes.at(-1) === 0x0a) {
      const { id } = JSON.parse(this.text);
      this.answer(token(id, "a"), done(id, "a"));
    }
    await this.#room.promise;
  }

  async read(): Promise<Uint8Array | null> {
    const bytes = await this.#answer.promise;
    this.#answer = Promise.withResolvers();
    return bytes;
  }

  close(): void {
    this.closed = true;
    this.#answer.resolve(null);
  }
}

/** A client, and its connections in their order. */
async function clientOf(daemons: SlowDaemon[]): Promise<Awaited<ReturnType<typeof connect>>> {
  return await connect({
    path: "/nowhere",
    maxRetries: 0,
    transport: () => {
      const daemon = new SlowDaemon();
      daemons.push(daemon);
      return Promise.resolve(daemon);
    },
  });
}

/** Resolves when the daemon has got so many pieces. */
async function pieces(daemon: SlowDaemon, count: number): Promise<void> {
  while (daemon.pieces.length < count) await nextTurn();
}

const LONG = 'a "river"\n漢😀 '.repeat(300_000);

Deno.test("a long request is written piece by piece, as it was when it was asked", async () => {
  const daemons: SlowDaemon[] = [];
  await using client = await clientOf(daemons);
  const messages = [{ role: "user" as const, content: LONG }, { role: "assistant" as const, content: "b" }];
  const expected = JSON.stringify(messages);
  const answer = client.generate({ messages }).text();
  messages.push({ role: "assistant", content: "c" });
  Object.assign(messages[1] ?? {}, { content: "d" });
  const [daemon] = daemons;
  assert(daemon !== undefined);
  await pieces(daemon, 1);
  assert((daemon.pieces[0]?.length ?? Infinity) < 2 * 1024 * 1024);
  daemon.take();
  assertEquals(await answer, "a");
  assert(daemon.pieces.length > 5, `${daemon.pieces.length} pieces`);
  assert(JSON.stringify(JSON.parse(daemon.text).messages) === expected);
});

Deno.test("a long request that is cancelled in the middle is not written to its end", async () => {
  const daemons: SlowDaemon[] = [];
  await using client = await clientOf(daemons);
  const abort = new AbortController();
  const answer = client.generate({ messages: [{ role: "user", content: LONG }] }, { signal: abort.signal });
  const [daemon] = daemons;
  assert(daemon !== undefined);
  await pieces(daemon, 1);
  abort.abort(new CancelledError("No"));
  daemon.take();
  await assertRejects(() => answer.text(), CancelledError);
  assertEquals([daemon.closed, daemon.pieces.length], [true, 1]);
});

Deno.test("a connection that was answered in the middle of a long request carries no other", async () => {
  const daemons: SlowDaemon[] = [];
  await using client = await clientOf(daemons);
  const answer = client.generate({ id: "x", messages: [{ role: "user", content: LONG }] });
  const [daemon] = daemons;
  assert(daemon !== undefined);
  await pieces(daemon, 1);
  daemon.answer({ id: "x", type: "error", code: "invalid_request", message: "no" });
  await assertRejects(() => answer.text());
  assertEquals(daemon.closed, true);
  daemon.take();
  const next = client.generate("hi").text();
  await pieces(daemons[1] ?? daemon, 1);
  daemons[1]?.take();
  assertEquals([await next, daemons.length, daemon.pieces.length], ["a", 2, 1]);
});

Deno.test("a request that is too long is refused, known beforehand or not", async () => {
  const daemons: SlowDaemon[] = [];
  await using client = await clientOf(daemons);
  const escaped = '"'.repeat(MAX_FRAME_BYTES / 2);
  for (const content of [escaped, "x".repeat(MAX_FRAME_BYTES)]) {
    const answer = client.generate({ messages: [{ role: "user", content }] });
    for (const daemon of daemons) daemon.take();
    await assertRejects(() => answer.text(), FrameTooLargeError, "at most 67108864 bytes");
  }
  assertEquals(daemons.map(({ text }) => text.endsWith("\n")), daemons.map(() => false));
});

Deno.test("a long request with what JSON cannot say is refused at once", async () => {
  await using client = await clientOf([]);
  const input = { text: LONG, loop: {} };
  input.loop = input;
  const ask = (content: unknown): unknown =>
    client.generate(
      {
        messages: [{ role: "assistant", content: [{ type: "tool_use", toolCallId: "a", name: "f", input: content }] }],
      } as never,
    );
  for (const content of [input, { text: LONG, big: 1n }]) {
    let thrown: unknown;
    try {
      ask(content);
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof TypeError, `${thrown}`);
  }
});
