import { assertEquals } from "@std/assert";
import { type Binding, Bindings } from "../../../src/server/bindings.ts";
import { eventually, nextTurn } from "../../support/waiting.ts";

/** Servers that note what is done to them; binding takes a turn, or fails. */
class Ground {
  readonly notes: string[] = [];
  readonly serving = new Set<string>();
  /** Could be served, by somebody who cannot now. */
  readonly awaited = new Set<string>();
  readonly failing = new Set<string>();
  /** Whether binding that failed is tried again. */
  retries = false;
  readonly bindings: Bindings;

  constructor(...names: string[]) {
    this.bindings = new Bindings(names.map((name) => this.#binding(name)), {
      onChange: (complete) => this.notes.push(complete ? "complete" : "incomplete"),
      onFailure: (error) => {
        this.notes.push(String(error));
        return this.retries;
      },
      retryMs: 0,
    });
  }

  /** Let these be served and no others; what is done then. */
  async become(...names: string[]): Promise<string[]> {
    this.change(...names);
    await nextTurn();
    return this.notes.splice(0);
  }

  change(...names: string[]): void {
    this.serving.clear();
    for (const name of names) this.serving.add(name);
    this.bindings.follow();
  }

  #binding(name: string): Binding {
    return {
      serves: () => this.serving.has(name),
      awaited: () => this.awaited.has(name),
      server: {
        bind: async () => {
          await Promise.resolve();
          if (this.failing.has(name)) throw new Error(`no ${name}`);
          this.notes.push(`+${name}`);
        },
        unbind: () => {
          this.notes.push(`-${name}`);
        },
      },
    };
  }
}

Deno.test("Bindings binds what is served, and says so when all of it stands", async () => {
  const ground = new Ground("a", "b", "c");
  assertEquals(await ground.become("a", "c"), ["+a", "+c", "complete"]);
  assertEquals(await ground.become("a", "c"), []);
});

Deno.test("Bindings is not complete while somebody is awaited on a socket, and says when all are back", async () => {
  const ground = new Ground("a", "b");
  await ground.become("a", "b");
  assertEquals(ground.bindings.complete, true);
  ground.awaited.add("a").add("b");
  assertEquals(await ground.become("a"), ["-b", "incomplete"]);
  assertEquals(ground.bindings.complete, false);
  assertEquals(await ground.become(), ["-a"]);
  assertEquals(await ground.become("b"), ["+b"]);
  assertEquals(await ground.become("a", "b"), ["+a", "complete"]);
});

Deno.test("Bindings is complete without a socket on which nobody is awaited any more, but not with none at all", async () => {
  const ground = new Ground("a", "b");
  await ground.become("a", "b");
  ground.awaited.add("b");
  assertEquals(await ground.become("a"), ["-b", "incomplete"]);
  ground.awaited.clear();
  assertEquals(await ground.become("a"), ["complete"]);
  assertEquals(await ground.become(), ["-a", "incomplete"]);
});

Deno.test("Bindings misses no change when changes follow at once, also while a socket is being bound", async () => {
  const ground = new Ground("a");
  await ground.become("a");
  ground.change();
  assertEquals(await ground.become("a"), ["-a", "incomplete", "+a", "complete"]);
  ground.change();
  ground.change("a");
  assertEquals(await ground.become(), ["-a", "incomplete", "+a", "-a"]);
});

Deno.test("Bindings tells a socket that cannot stand, and goes on at the next change", async () => {
  const ground = new Ground("a", "b");
  ground.failing.add("b");
  assertEquals(await ground.become("a", "b"), ["+a", "Error: no b"]);
  ground.failing.clear();
  assertEquals(await ground.become("a", "b"), ["+b", "complete"]);
});

Deno.test("Bindings binds the others when a socket cannot stand, and tries that one again by itself", async () => {
  const ground = new Ground("a", "b");
  ground.retries = true;
  ground.awaited.add("a").add("b");
  ground.failing.add("a");
  assertEquals((await ground.become("a", "b")).slice(0, 2), ["Error: no a", "+b"]);
  assertEquals(ground.bindings.complete, false);
  ground.failing.clear();
  await eventually("complete bindings", () => ground.bindings.complete);
  assertEquals(ground.notes.slice(-2), ["+a", "complete"]);
});

Deno.test("Bindings tries no more when it was stopped", async () => {
  const ground = new Ground("a");
  ground.retries = true;
  ground.failing.add("a");
  ground.change("a");
  await ground.bindings.stop();
  // With a timer left this test fails.
  assertEquals(ground.notes, ["Error: no a"]);
});

Deno.test("Bindings follows no more when it was stopped", async () => {
  const ground = new Ground("a");
  ground.change("a");
  await ground.bindings.stop();
  assertEquals(await ground.become(), ["+a"]);
});
