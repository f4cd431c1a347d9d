import { assertEquals, assertThrows } from "@std/assert";
import { type Dialect, dialectOf } from "../../../bench/dialects.ts";
import type { Ending, PeerEndpoint, StreamJob, Target } from "../../../bench/load_job.ts";

function dialect(target: Target): Dialect {
  const sampling = { temperature: 0, topP: 1, topK: 0, seed: 7 };
  const job: StreamJob = { kind: "stream", target, prompts: [], maxTokens: 9, sampling };
  return dialectOf(job);
}

function peer(endpoint: PeerEndpoint): Dialect {
  return dialect({ protocol: "llama-server", port: 1, endpoint, before: "<user>", after: "<assistant>" });
}

/** What the load generator makes of an answer. */
function read(dialect: Dialect, lines: readonly string[]): { pieces: number; ending: Ending | undefined } {
  let pieces = 0;
  let ending: Ending | undefined;
  for (const line of lines) {
    if (dialect.isText(line)) pieces++;
    else ending = dialect.other(line);
  }
  return { pieces, ending };
}

Deno.test("the inferd dialect counts text and reads the usage when an answer is complete", () => {
  const lines = [
    '{"id":"b","type":"token","content":"Hi"}',
    '{"id":"b","type":"token","content":"\\n"}',
    '{"id":"b","type":"done","content":"Hi\\n","usage":{"prompt_tokens":5,"completion_tokens":2},"stop_reason":"end","backend":"x"}',
  ];
  assertEquals(read(dialect({ protocol: "inferd", path: "/x" }), lines), {
    pieces: 2,
    ending: { tokens: 2, promptTokens: 5 },
  });
});

Deno.test("the inferd dialect fails with the code when the answer is an error", () => {
  const line = '{"id":"b","type":"error","code":"queue_full","message":"No place"}';
  assertThrows(() => dialect({ protocol: "inferd", path: "/x" }).other(line), Error, "queue_full: No place");
});

Deno.test("the inferd dialect asks for what the job says when it writes a request", () => {
  const line = new TextDecoder().decode(dialect({ protocol: "inferd", path: "/x" }).request("Hi\n"));
  assertEquals(line.indexOf("\n"), line.length - 1);
  assertEquals(JSON.parse(line), {
    id: "b",
    messages: [{ role: "user", content: "Hi\n" }],
    temperature: 0,
    top_p: 1,
    top_k: 0,
    seed: 7,
    max_tokens: 9,
  });
});

Deno.test("the llama-server dialect leaves out the end token when a completion ended by itself", () => {
  const event = (fields: string): string => `data: {"index":0,"content":${fields}}`;
  const head = ["HTTP/1.1 200 OK\r", "Transfer-Encoding: chunked\r", "\r", "77\r"];
  const text = [event('"Hi","tokens":[1],"stop":false'), "", "\r", event('"\\"","tokens":[2],"stop":false'), "", "\r"];
  const timings = '"timings":{"cache_n":3,"prompt_n":4,"predicted_n":3}';
  const last = (why: string): string[] => [
    event('"","tokens":[9],"stop":false'),
    event(`"","tokens":[],"stop":true,"stop_type":"${why}",${timings}`),
    "",
    "\r",
    "0\r",
  ];
  const ended = read(peer("completion"), [...head, ...text, ...last("eos")]);
  assertEquals(ended, { pieces: 2, ending: { tokens: 2, promptTokens: 7 } });
  assertEquals(read(peer("completion"), [...head, ...text, ...last("limit")]).ending?.tokens, 3);
});

Deno.test("the llama-server dialect does not count the role as text when it reads a chat", () => {
  const choice = (finish: string, delta: string): string =>
    `data: {"choices":[{"finish_reason":${finish},"index":0,"delta":${delta}}],"created":1}`;
  const timings = '"timings":{"cache_n":0,"prompt_n":7,"predicted_n":2}';
  const lines = [
    "HTTP/1.1 200 OK\r",
    choice("null", '{"role":"assistant","content":null}'),
    choice("null", '{"content":"Hi"}'),
    choice('"stop"', "{}").replace(',"created":1', `,"created":1,${timings}`),
    "data: [DONE]",
    "0\r",
  ];
  assertEquals(read(peer("chat"), lines), { pieces: 1, ending: { tokens: 1, promptTokens: 7 } });
});

Deno.test("the llama-server dialect fails when the status is not 200 or the answer has no end", () => {
  assertThrows(() => peer("chat").other("HTTP/1.1 503 Service Unavailable\r"), Error, "503");
  assertThrows(() => peer("chat").other("0\r"), Error, "without a last event");
});

Deno.test("the llama-server dialect counts bytes when it tells the length of a body", () => {
  const text = new TextDecoder().decode(peer("completion").request("é🦊"));
  const [head = "", body = ""] = text.split("\r\n\r\n");
  assertEquals(Number(/Content-Length: (\d+)/.exec(head)?.[1]), new TextEncoder().encode(body).length);
  assertEquals(JSON.parse(body).prompt, "<user>é🦊<assistant>");
});
