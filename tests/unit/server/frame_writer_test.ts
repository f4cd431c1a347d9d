import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type ByteSink, FrameWriter } from "../../../src/server/frame_writer.ts";
import { Mailbox } from "../../support/mailbox.ts";

interface Write {
  readonly text: string;
  /** Let the write end, with all of its bytes or some. */
  readonly take: (bytes?: number) => void;
  readonly fail: () => void;
}

/** A sink that takes what the test lets it take. */
class HeldSink implements ByteSink {
  readonly writes = new Mailbox<Write>();

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.writes.put({
        text: new TextDecoder().decode(bytes),
        take: (count = bytes.length) => resolve(count),
        fail: () => reject(new Deno.errors.BrokenPipe("broken")),
      });
    });
  }
}

class WriterUnderTest {
  readonly sink = new HeldSink();
  readonly failures: string[] = [];
  readonly writer = new FrameWriter(this.sink, {
    idleTimeoutMs: 1000,
    onFailure: (why) => this.failures.push(why),
    // The clock that FakeTime holds.
    now: () => Date.now(),
  });
}

Deno.test("a writer sends at once, and what comes meanwhile in one write", async () => {
  const { writer, sink } = new WriterUnderTest();
  writer.send("one\n");
  const first = await sink.writes.take();
  writer.send("two\n");
  writer.send("three\n");
  first.take();
  const second = await sink.writes.take();
  assertEquals([first.text, second.text], ["one\n", "two\nthree\n"]);
  second.take();
  await writer.flush();
  writer.close();
});

Deno.test("a writer goes on where a write took only some, also in the middle of a character", async () => {
  const { writer, sink } = new WriterUnderTest();
  writer.send("aü漢\n");
  let write = await sink.writes.take();
  write.take(2);
  write = await sink.writes.take();
  write.take(1);
  write = await sink.writes.take();
  assertEquals(write.text, "漢\n");
  write.take();
  await writer.flush();
  writer.close();
});

Deno.test("a writer makes the producer wait when too much is unsent, until there is room", async () => {
  const { writer, sink } = new WriterUnderTest();
  assertEquals(writer.send("small\n"), undefined);
  const first = await sink.writes.take();
  const room = writer.send("x".repeat(256 * 1024));
  let waited = false;
  const waiting = room?.then(() => waited = true);
  first.take();
  const second = await sink.writes.take();
  assertEquals([room === undefined, waited], [false, false]);
  second.take();
  await waiting;
  assertEquals(writer.send("small\n"), undefined);
  (await sink.writes.take()).take();
  await writer.flush();
  writer.close();
});

Deno.test("a writer's flush waits for everything, also for what is queued meanwhile", async () => {
  const { writer, sink } = new WriterUnderTest();
  await writer.flush();
  writer.send("one\n");
  let flushed = false;
  const flush = writer.flush().then(() => flushed = true);
  const first = await sink.writes.take();
  writer.send("two\n");
  first.take();
  const second = await sink.writes.take();
  assertEquals(flushed, false);
  second.take();
  await flush;
  writer.close();
});

Deno.test("a writer fails as broken when a write fails, and lets the producer go", async () => {
  const { writer, sink, failures } = new WriterUnderTest();
  const room = writer.send("x".repeat(256 * 1024));
  (await sink.writes.take()).fail();
  await room;
  await writer.flush();
  assertEquals(failures, ["broken"]);
  assertEquals(writer.send("more\n"), undefined);
  assertEquals(sink.writes.size, 0);
});

Deno.test("a writer fails as idle when nothing is taken for the whole time", async () => {
  using time = new FakeTime();
  const { writer, sink, failures } = new WriterUnderTest();
  const room = writer.send("x".repeat(256 * 1024));
  time.tick(1000);
  await room;
  assertEquals(failures, ["idle"]);
  (await sink.writes.take()).fail();
  await writer.flush();
  assertEquals(failures, ["idle"]);
});

Deno.test("a writer does not fail while anything is taken within the time, or nothing is to be sent", async () => {
  using time = new FakeTime();
  const { writer, sink, failures } = new WriterUnderTest();
  writer.send("0123456789");
  for (let index = 0; index < 9; index++) {
    const write = await sink.writes.take();
    time.tick(900);
    write.take(1);
  }
  (await sink.writes.take()).take();
  await writer.flush();
  time.tick(5000);
  assertEquals(failures, []);
  writer.close();
});

Deno.test("a writer that is closed drops what is unsent and takes nothing more", async () => {
  const { writer, sink, failures } = new WriterUnderTest();
  writer.send("one\n");
  const first = await sink.writes.take();
  writer.send("two\n");
  writer.close();
  first.take();
  await writer.flush();
  assertEquals([writer.send("three\n"), sink.writes.size, failures], [undefined, 0, []]);
});
