/** Whatever a client writes, it gets frames or an end, and the daemon goes on. Seeded: a failure can be had again. */
import { assert, assertEquals } from "@std/assert";
import { randomFrom } from "../support/random.ts";
import { ask, readyMock, Serving } from "../support/serving.ts";
import type { WireClient } from "../support/wire_client.ts";

const ROUNDS = 150;
const CODES = ["invalid_request", "frame_too_large"];

const SEEDS: readonly string[] = [
  JSON.stringify(ask({ id: "a", stream: false, temperature: 0.5, stop: ["x"], seed: 7 })),
  JSON.stringify(ask({ id: "ü漢👩‍🚀", top_k: 3, grammar: 'root ::= "a"', max_tokens: 2 })),
  '{"id":"b","messages":[{"role":"system","content":"\\u0000\\ud800"}],"extra":{"deep":[[[[]]]]}}',
  "[1,2,3]",
  "",
];

/** Some lines, some of them damaged. */
function compose(random: () => number): Uint8Array {
  const pick = (below: number): number => Math.floor(random() * below);
  const lines = Array.from({ length: 1 + pick(5) }, () => SEEDS[pick(SEEDS.length)] ?? "");
  const bytes = [...new TextEncoder().encode(lines.join("\n") + (pick(2) === 0 ? "\n" : ""))];
  for (let damage = pick(4); damage > 0; damage--) {
    const at = pick(bytes.length);
    const kind = pick(3);
    if (kind === 0) bytes[at] = pick(256);
    else if (kind === 1) bytes.splice(at, 1 + pick(8));
    else bytes.splice(at, 0, ...Array.from({ length: pick(8) }, () => pick(256)));
  }
  return new Uint8Array(bytes);
}

async function writeInPieces(client: WireClient, bytes: Uint8Array, random: () => number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + Math.floor(random() * 200);
    await client.write(bytes.subarray(at, end));
    at = end;
  }
  await client.end();
}

Deno.test("a client that writes damaged requests gets whole frames, at most one terminal for a line, and an end", async () => {
  await using serving = await Serving.start({ backends: [await readyMock({ tokens: ["a", "b"] })] });
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = randomFrom(seed);
    const bytes = compose(random);
    using client = await serving.connect();
    const [lines] = await Promise.all([client.rest(), writeInPieces(client, bytes, random).catch(() => {})]);
    const frames = lines.map((line) => JSON.parse(line));
    const terminal = frames.filter(({ type }) => type !== "token");
    const asked = bytes.reduce((count, byte) => byte === 0x0a ? count + 1 : count, 1);
    assert(terminal.length <= asked, `seed ${seed}: ${terminal.length} terminal frames for ${asked} lines`);
    for (const frame of terminal) {
      assert(frame.type === "done" || CODES.includes(frame.code), `seed ${seed}: ${JSON.stringify(frame)}`);
    }
    assertEquals(frames.at(-1)?.type === "token", false, `seed ${seed}`);
  }
  assertEquals(serving.admission.status().active, 0);
  assertEquals(serving.log.of("connection_failed"), []);
  assertEquals(serving.log.records.filter(({ level }) => level === "error"), []);
});
