/** Clients of every surface, good and bad: each call is one connection, and the ledger hears of every request of it. */
import { delay } from "@std/async";
import { dispatch, frame, request } from "../support/dispatch_wire.ts";
import { WireClient } from "../support/wire_client.ts";
import type { Ledger } from "./ledger.ts";

/** Where they connect, what they draw, and who keeps the books. */
export interface Scene {
  readonly runtimeDir: string;
  readonly random: () => number;
  readonly ledger: Ledger;
}

/** What a request looks like on the wire, and what its answer must satisfy. */
interface Asked {
  readonly line: Record<string, unknown>;
  /** What is wrong with an answer; undefined: nothing. */
  readonly check: (frames: readonly Record<string, unknown>[]) => string | undefined;
}

const SOCKETS: Readonly<Record<string, string>> = {
  v1: "infer.sock",
  v2: "infer.v2.sock",
  embed: "infer.embed.sock",
  rerank: "infer.rerank.sock",
};
const KINDS = Object.keys(SOCKETS);
const MAX_REQUESTS = 3;
/** In all for one connection: a reader that pauses for 2 s while others wait is cut. */
const MAX_PAUSES_MS = 800;
const ALLOWED = ["queue_full", "backend_unavailable", "cancelled"];
const BAD_LINES = ["{", "[]", '{"messages":[]}', '{"id":7}', "\u0000", '{"messages":[{"role":"x","content":"y"}]}'];

/** A client that is not there any more, or not yet, is not the daemon's fault. */
export function isAway(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.WouldBlock;
}

/** One of a list. */
export function pick<T>(random: () => number, list: readonly T[]): T {
  const found = list[Math.floor(random() * list.length)];
  if (found === undefined) throw new RangeError("Cannot pick from an empty list");
  return found;
}

/** One connection of a random client. */
export async function visit(scene: Scene): Promise<void> {
  const { random } = scene;
  const draw = random();
  if (draw < 0.06) return await sayNonsense(scene);
  if (draw < 0.12) return await askAdmin(scene);
  if (draw < 0.2) return await callDispatch(scene);
  const kind = pick(random, KINDS);
  if (draw < 0.35) return await leave(scene, kind);
  return await converse(scene, kind, { isSlow: draw < 0.45 });
}

function compose({ random }: Scene, kind: string, id: string): Asked {
  const text = `${pick(random, ["A fox", "The sea", "Bread", "Oslo"])} ${Math.floor(random() * 1000)}`;
  if (kind === "embed") {
    const input = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, index) => `${text} ${index}`);
    return { line: { id, input }, check: ([last]) => hasLength(last?.embeddings, input.length) };
  }
  if (kind === "rerank") {
    const documents = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, index) => `${text} ${index}`);
    return { line: { id, query: text, documents }, check: ([last]) => hasLength(last?.results, documents.length) };
  }
  // Forced to its own id, so that an answer that went to somebody else shows.
  const own = kind === "v1"
    ? { grammar: `root ::= "${id}"` }
    : { response_format: { type: "json_schema", schema: { const: id } } };
  const isForced = random() < 0.5;
  const content = kind === "v1" ? text : [{ type: "text", text }];
  const line = { id, messages: [{ role: "user", content }], max_tokens: 4 + Math.floor(random() * 60) };
  if (!isForced) return { line, check: () => undefined };
  return {
    line: { ...line, ...own, max_tokens: 60 },
    check: (frames) => {
      const said = frames.map((one) => textOf(one)).join("");
      return said === (kind === "v1" ? id : JSON.stringify(id)) ? undefined : `answered ${JSON.stringify(said)}`;
    },
  };
}

/** What a frame adds to the text; the last of v1 repeats all of it. */
function textOf(one: Record<string, unknown>): string {
  if (one.type === "token") return String(one.content);
  const block = one.block as { type?: string; delta?: string } | undefined;
  return block?.type === "text" ? block.delta ?? "" : "";
}

function hasLength(list: unknown, length: number): string | undefined {
  return Array.isArray(list) && list.length === length ? undefined : `not ${length} results`;
}

/** Some requests on one connection, and nothing after their answers. */
async function converse(scene: Scene, kind: string, { isSlow }: { readonly isSlow: boolean }): Promise<void> {
  const { random, ledger, runtimeDir } = scene;
  using client = await WireClient.connect(`${runtimeDir}/${SOCKETS[kind]}`);
  const ids = Array.from({ length: 1 + Math.floor(random() * MAX_REQUESTS) }, () => ledger.begin(kind));
  const asked = ids.map((id) => compose(scene, kind, id));
  const writing = client.write(asked.map(({ line }) => `${JSON.stringify(line)}\n`).join(""));
  // A daemon that closes is told by what can be read.
  writing.catch(() => {});
  let pausedMs = 0;
  for (const [index, id] of ids.entries()) {
    const frames: Record<string, unknown>[] = [];
    for (;;) {
      const text = await client.line();
      if (text === undefined) {
        ledger.fault(
          `${id}: the connection ended before its answer, after ${index} others and ${frames.length} frames`,
        );
        for (const left of ids.slice(index)) ledger.end(left, "unanswered");
        return;
      }
      const one = JSON.parse(text) as Record<string, unknown>;
      frames.push(one);
      if (one.id !== id) ledger.fault(`${id} got a frame of ${String(one.id)}`);
      if (one.type !== "token" && one.type !== "frame") break;
      if (!isSlow || pausedMs > MAX_PAUSES_MS) continue;
      const pauseMs = random() * 100;
      pausedMs += pauseMs;
      await delay(pauseMs);
    }
    settle(ledger, id, frames, asked[index]);
  }
  await writing;
  await client.end();
  for (const extra of await client.rest()) ledger.fault(`${ids.at(-1)}: after the last answer came ${extra}`);
}

function settle(
  ledger: Ledger,
  id: string,
  frames: readonly Record<string, unknown>[],
  asked: Asked | undefined,
): void {
  const last = frames.at(-1);
  if (last?.type !== "error") {
    const wrong = asked?.check(frames);
    if (wrong !== undefined) ledger.fault(`${id}: ${wrong}`);
    return ledger.end(id, "done");
  }
  const code = String(last.code);
  if (!ALLOWED.includes(code)) ledger.fault(`${id}: ${code} ${String(last.message)}`);
  ledger.end(id, code);
}

/** A request whose client closes at once, or at its first frame. */
async function leave({ random, ledger, runtimeDir }: Scene, kind: string): Promise<void> {
  using client = await WireClient.connect(`${runtimeDir}/${SOCKETS[kind]}`);
  const id = ledger.begin(kind);
  try {
    await client.send(compose({ random, ledger, runtimeDir }, kind, id).line);
    if (random() < 0.5) await client.line();
  } finally {
    ledger.end(id, "left");
  }
}

/** A line that is no request gets one error, and that is all. */
async function sayNonsense({ random, ledger, runtimeDir }: Scene): Promise<void> {
  const kind = pick(random, KINDS);
  const line = pick(random, BAD_LINES);
  using client = await WireClient.connect(`${runtimeDir}/${SOCKETS[kind]}`);
  const id = ledger.begin("bad");
  await client.write(`${line}\n`);
  await client.end();
  const codes = (await client.rest()).map((text) => (JSON.parse(text) as { code?: string }).code);
  if (codes.length !== 1 || codes[0] !== "invalid_request") {
    ledger.fault(`${kind} answered ${JSON.stringify(line)} with ${codes.join(", ") || "nothing"}`);
  }
  ledger.end(id, codes[0] ?? "left");
}

/** Looks at what runs, and sometimes cancels one of them. */
async function askAdmin({ random, ledger, runtimeDir }: Scene): Promise<void> {
  using client = await WireClient.connect(`${runtimeDir}/admin.sock`);
  const id = ledger.begin("admin");
  await client.send({ type: "requests" });
  for (;;) {
    const one = await client.frame();
    if (one.type !== "requests") continue;
    const running = one.requests as { number: number }[];
    if (running.length > 0 && random() < 0.3) {
      await client.send({ type: "cancel", number: pick(random, running).number });
    }
    return ledger.end(id, "done");
  }
}

/** Dispatch, and a caller of it that lies about its length. */
async function callDispatch({ random, ledger, runtimeDir }: Scene): Promise<void> {
  const path = `${runtimeDir}/rpc.sock`;
  if (random() < 0.3) {
    using client = await WireClient.connect(path);
    return await client.write(frame('{"ops":"status()"', 1 + Math.floor(random() * 2 ** 31)));
  }
  const id = ledger.begin("dispatch");
  try {
    // Without a configuration's id nothing runs, but the answer has it.
    const { served_config_id } = await dispatch(path, request("status()"));
    // Not known while an engine restarts.
    if (served_config_id === null) return ledger.end(id, "not_served");
    const answer = await dispatch(path, request("status(); models()", { config_id: served_config_id }));
    if (answer.ok) return ledger.end(id, "done");
    // An engine has died since.
    if (answer.config_mismatch && answer.served_config_id === null) return ledger.end(id, "not_served");
    const other = `${answer.served_config_id} is served now, and ${served_config_id} was`;
    ledger.fault(`${id}: dispatch refused: ${answer.error ?? other}`);
    ledger.end(id, "refused");
  } catch (error) {
    // A daemon that drains closes without an answer.
    ledger.end(id, error instanceof Deno.errors.ConnectionReset ? "closed" : "left");
    throw error;
  }
}
