import { assertEquals, assertThrows } from "@std/assert";
import { ChannelError, Inbox, Outbox } from "../../../../src/engine/ipc/channel.ts";
import type { EngineRequest, FromEngine, ToEngine } from "../../../../src/engine/ipc/messages.ts";
import type { TokenizerRequest } from "../../../../src/inference/request.ts";
import { Pulse } from "../../../../src/engine/ipc/pulse.ts";

/** Two ends of the talk, and a clock. */
class Ground {
  now = 0;
  readonly said: FromEngine[] = [];
  readonly pulse: Pulse;
  #lines: Uint8Array[] = [];
  #ended = false;

  constructor() {
    const inbox = new Inbox({
      readable: () => this.#ended || this.#lines.length > 0,
      readSync: (buffer) => {
        const line = this.#lines.shift();
        if (line === undefined) return null;
        buffer.set(line);
        return line.length;
      },
    });
    this.pulse = new Pulse(inbox, new Outbox({ send: (message) => this.said.push(message), now: () => this.now }));
  }

  hear(...messages: readonly (ToEngine | string)[]): void {
    for (const message of messages) {
      const line = typeof message === "string" ? message : JSON.stringify(message);
      this.#lines.push(new TextEncoder().encode(`${line}\n`));
    }
  }

  end(): void {
    this.#ended = true;
  }
}

Deno.test("Pulse says once a second that the engine lives while a step computes, however long it takes", () => {
  const ground = new Ground();
  for (let ms = 0; ms <= 60_000; ms += 10) {
    ground.now = ms;
    assertEquals(ground.pulse.beat(), false);
  }
  assertEquals(ground.said.length, 60);
  assertEquals(new Set(ground.said.map(({ type }) => type)), new Set(["beat"]));
});

Deno.test("Pulse keeps what is said during a step for after it, in order", () => {
  const ground = new Ground();
  ground.hear({ op: "pause", id: 1 }, { op: "cancel", id: 2 });
  assertEquals(ground.pulse.beat(), false);
  ground.hear({ op: "resume", id: 1 });
  assertEquals(ground.pulse.take(), [{ op: "pause", id: 1 }, { op: "cancel", id: 2 }, { op: "resume", id: 1 }]);
  assertEquals(ground.pulse.take(), []);
  ground.hear({ op: "cancel", id: 3 });
  ground.pulse.beat();
  assertEquals(ground.pulse.wait(), [{ op: "cancel", id: 3 }]);
});

Deno.test("Pulse gives a step up when it is worth nothing without those who were cancelled meanwhile", () => {
  const ground = new Ground();
  const asked: number[][] = [];
  ground.pulse.abandons = (ids) => {
    asked.push([...ids]);
    return ids.size === 2;
  };
  assertEquals(ground.pulse.beat(), false);
  ground.hear({ op: "cancel", id: 1 });
  assertEquals(ground.pulse.beat(), false);
  assertEquals(ground.pulse.beat(), false);
  ground.hear({ op: "cancel", id: 2 });
  assertEquals(ground.pulse.beat(), true);
  assertEquals(asked, [[1], [1, 2]]);
  ground.pulse.take();
  ground.hear({ op: "cancel", id: 3 });
  assertEquals([ground.pulse.beat(), asked.at(-1)], [false, [3]]);
});

Deno.test("Pulse gives a step up when the daemon has gone, or said what is no message, which is told after it", () => {
  const gone = new Ground();
  gone.end();
  assertEquals(gone.pulse.beat(), true);
  const wrong = new Ground();
  wrong.hear("nonsense");
  assertEquals(wrong.pulse.beat(), true);
  assertThrows(() => wrong.pulse.take(), ChannelError);
});

Deno.test("Pulse gives a step up when a request comes and it is for nobody yet", () => {
  const conversation = { type: "apply_template", conversation: { messages: [] } } as unknown as TokenizerRequest;
  const comes: readonly (readonly [ToEngine, boolean])[] = [
    [{ op: "tokenizer", id: 1, request: conversation }, true],
    [{ op: "generate", id: 2, request: {} as unknown as EngineRequest }, true],
    [{ op: "resume", id: 1 }, false],
    [{ op: "cancel", id: 1 }, false],
  ];
  for (const [message, yields] of comes) {
    for (const isQuiet of [true, false]) {
      const ground = new Ground();
      ground.pulse.yields = () => isQuiet;
      assertEquals(ground.pulse.beat(), false);
      ground.hear(message);
      assertEquals(ground.pulse.beat(), yields && isQuiet, message.op);
      assertEquals(ground.pulse.take(), [message]);
    }
  }
});
