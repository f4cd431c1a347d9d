/** The commands that ask beside plain `generate`: v2, embeddings, rerank and the conversation. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { OpenAiServer, words } from "../support/openai_server.ts";
import { type Outcome, Sandbox } from "../support/program.ts";

const MOCK = ["--backend", "mock"];

function assertUsage({ code, stdout, stderr }: Outcome, message: string): void {
  assertEquals([code, stdout], [2, ""], stderr);
  assertStringIncludes(stderr, message);
  assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
}

Deno.test("inferd generate --thinking prints the answer on stdout and the thoughts on stderr", async () => {
  await using box = new Sandbox();
  const script = { thinking: ["hm", "m"], tokens: ["one ", "two"] };
  await using _daemon = await box.serve([...MOCK, "--mock-script", JSON.stringify(script)]);
  const answer = await box.run(["generate", "--thinking", "hi"]);
  assertEquals(answer, { code: 0, stdout: "one two\n", stderr: "hmm\n" });
  const json = await box.run(["generate", "--thinking", "--json", "hi"]);
  const { content, thinking, stop_reason } = JSON.parse(json.stdout);
  assertEquals([content, thinking, stop_reason], ["one two", "hmm", "end_turn"]);
});

Deno.test("inferd generate adds stdin to the prompt, and reads it alone where there is none or it is -", async () => {
  const asked: unknown[] = [];
  await using server = new OpenAiServer(async (request) => {
    asked.push(request.body.messages);
    await request.stream(...words("yes"));
  });
  await using box = new Sandbox();
  const config = `${box.dir}/config.json`;
  const remote = { kind: "openai-compat", name: "remote", base_url: server.url, model: "m" };
  Deno.writeTextFileSync(config, JSON.stringify({ backends: [remote] }));
  await using _daemon = await box.serve(["--config", config]);
  const file = { stdin: "first line\nsecond line\n" };
  for (
    const { args, stdin, prompt } of [
      { args: ["Summarize", "this"], ...file, prompt: "Summarize this\n\nfirst line\nsecond line" },
      { args: ["Summarize"], stdin: "", prompt: "Summarize" },
      { args: [], ...file, prompt: "first line\nsecond line" },
      { args: ["-"], ...file, prompt: "first line\nsecond line" },
    ]
  ) {
    const answer = await box.run(["generate", ...args], { stdin });
    assertEquals([answer.code, answer.stderr], [0, ""]);
    assertEquals(asked.pop(), [{ role: "user", content: prompt }]);
  }
  assertUsage(await box.run(["generate", "-", "What is"], file), '"-" reads the prompt from stdin, alone');
  assertEquals(asked, []);
});

Deno.test("inferd generate --schema follows the schema, and says what is wrong with one", async () => {
  await using box = new Sandbox();
  const file = (name: string, text: string): string => {
    const path = `${box.dir}/${name}`;
    Deno.writeTextFileSync(path, text);
    return path;
  };
  const schema = file("schema.json", '{"type":"object","properties":{"n":{"enum":[1,2]}},"required":["n"]}');
  const impossible = file("impossible.json", '{"type":"array","items":{"type":"string"},"uniqueItems":true}');
  await using _daemon = await box.serve([]);
  const answer = await box.run(["generate", "--schema", schema, "A number"]);
  assertEquals([answer.code, answer.stderr], [0, ""]);
  assertEquals([1, 2].includes(JSON.parse(answer.stdout).n), true);
  // Started as a task, with exact permissions, it may read what it is told to.
  const task = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "generate", "--schema", schema, "A number"],
    cwd: fromFileUrl(new URL("../..", import.meta.url)),
    env: { ...box.env },
  }).output();
  assertEquals([new TextDecoder().decode(task.stderr), task.code], ["", 0]);
  const refused = await box.run(["generate", "--schema", impossible, "hi"]);
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "inferd: invalid_request: ");
  assertStringIncludes(refused.stderr, "uniqueItems");
  assertUsage(await box.run(["generate", "--schema", `${box.dir}/none`, "hi"]), "there is no such file");
  assertUsage(await box.run(["generate", "--schema", file("list.json", "[]"), "hi"]), "must be a JSON object");
});

Deno.test("inferd embed prints the vectors of its arguments, or of the lines on stdin", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve(MOCK);
  const two = await box.run(["embed", "one", "two"]);
  assertEquals([two.code, two.stderr], [0, ""]);
  const { embeddings, dimensions } = JSON.parse(two.stdout);
  assertEquals([embeddings.length, embeddings[0].length], [2, dimensions]);
  assertEquals(JSON.parse((await box.run(["embed"], { stdin: "one\n\ntwo\n" })).stdout).embeddings, embeddings);
  const short = JSON.parse((await box.run(["embed", "--dimensions", "2", "--task", "similarity", "one"])).stdout);
  assertEquals([short.dimensions, short.embeddings[0].length], [2, 2]);
  assertUsage(await box.run(["embed"], { stdin: "\n" }), "A text is empty");
  assertUsage(await box.run(["embed", "--task", "x", "one"]), "--task must be one of retrieval_query, ");
  assertUsage(await box.run(["embed", "--dimensions", "0", "one"]), "--dimensions must be a whole number from 1");
});

Deno.test("inferd rerank prints the order of its documents, with the documents", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve(MOCK);
  const documents = ["nothing of it", "red apples"];
  const all = await box.run(["rerank", "red apples", ...documents]);
  assertEquals([all.code, all.stderr], [0, ""]);
  const { results } = JSON.parse(all.stdout);
  assertEquals(results.map(({ document }: { document: string }) => document), documents.toReversed());
  const best = await box.run(["rerank", "--top-n", "1", "red apples"], { stdin: documents.join("\n") });
  assertEquals(JSON.parse(best.stdout).results, results.slice(0, 1));
  assertUsage(await box.run(["rerank"]), "The query is empty");
  assertUsage(await box.run(["rerank", "q"], { stdin: "" }), "A document is empty");
});

Deno.test("inferd embed and rerank exit with 2 when the daemon has no model for them", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"services":["v1","v2"]}']);
  for (const command of [["embed", "one"], ["rerank", "one", "two"]]) {
    const { code, stderr } = await box.run(command);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, "inferd: The daemon has no backend that ");
  }
});

Deno.test("inferd chat remembers the conversation, takes lines that go on, and forgets on /reset", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([]);
  const lines = ["hello", "My name is Tara.", "What is my \\", "name?", "/reset", "/help", "", "hello"];
  const chat = await box.run(["chat", "--temperature", "0"], { stdin: lines.join("\n") });
  assertEquals(chat.code, 0, chat.stderr);
  const answers = chat.stdout.trimEnd().split("\n");
  assertEquals(answers.length, 4);
  assertEquals([answers[2], answers[3]], ["Your name is Tara.", answers[0]]);
  assertStringIncludes(chat.stderr, "forget what was said");
});

Deno.test("inferd chat tells an error and goes on", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"failBefore":true}']);
  const chat = await box.run(["chat"], { stdin: "one\ntwo\n/exit\nthree\n" });
  assertEquals([chat.code, chat.stdout], [1, ""]);
  assertEquals(chat.stderr.match(/inferd: backend_unavailable: /g)?.length, 2);
});
