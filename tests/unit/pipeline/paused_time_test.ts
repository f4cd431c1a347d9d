import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { PausedTime } from "../../../src/pipeline/paused_time.ts";

/** A request whose pauses the test ends. */
class PausedRequest {
  readonly #time: FakeTime;
  crowded = true;
  exhausted = 0;
  readonly said: string[] = [];
  readonly paused: PausedTime;
  #room = Promise.withResolvers<void>();

  constructor(time: FakeTime) {
    this.#time = time;
    this.paused = new PausedTime({
      isCrowded: () => this.crowded,
      leave: () => void this.said.push("leave"),
      comeBack: () => Promise.resolve(void this.said.push("come back")),
      onExhausted: () => {
        this.exhausted++;
        this.#room.resolve();
      },
      now: () => time.now,
    });
  }

  /** Wait so long, then for as much to be taken. */
  async pause(ms: number, size: number): Promise<void> {
    this.#room = Promise.withResolvers<void>();
    const waiting = this.paused.wait(this.#room.promise, size);
    await this.#time.tickAsync(ms);
    this.#room.resolve();
    await waiting;
  }
}

Deno.test("pauses are added up: after 500 ms of them while others wait the place is left, and taken again when it was read", async () => {
  using time = new FakeTime();
  const request = new PausedRequest(time);
  for (let pauses = 0; pauses < 5; pauses++) await request.pause(100, 0);
  assertEquals(request.said, []);
  await request.pause(2_000, 0);
  assertEquals(request.said, ["leave", "come back"]);
  await request.pause(400, 0);
  assertEquals(request.said, ["leave", "come back"]);
  await request.pause(400, 0);
  assertEquals(request.said, ["leave", "come back", "leave", "come back"]);
  assertEquals(request.exhausted, 0);
});

Deno.test("a client that is away is cut after 30 s in all", async () => {
  using time = new FakeTime();
  const request = new PausedRequest(time);
  for (let pauses = 0; pauses < 3; pauses++) await request.pause(10_000, 0);
  assertEquals(request.exhausted, 0);
  await request.pause(200, 0);
  assertEquals(request.exhausted > 0, true);
});

Deno.test("a client that nobody waits behind may take 30 s", async () => {
  using time = new FakeTime();
  const request = new PausedRequest(time);
  request.crowded = false;
  await request.pause(30_000, 0);
  assertEquals(request.exhausted, 0);
  await request.pause(200, 0);
  assertEquals(request.exhausted > 0, true);
});

Deno.test("a client that reads 128 KiB in a second is never cut, however often it is waited for", async () => {
  using time = new FakeTime();
  const request = new PausedRequest(time);
  for (let pauses = 0; pauses < 100; pauses++) {
    await request.pause(1_000, 64 * 1024);
    request.paused.sent(64 * 1024);
  }
  assertEquals(request.exhausted, 0);
});
