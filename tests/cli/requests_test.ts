/** The commands that ask beside plain `generate`: v2, embeddings, rerank and the conversation. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { OpenAiServer, words } from "../support/openai_server.ts";
import { type Outcome, Sandbox } from "../support/program.ts";

const MOCK = ["--backend", "mock"];
/** A PNG of one pixel. */
const DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

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

Deno.test("inferd generate adds files to the prompt, sends images, and asks the model that is named", async () => {
  const asked: { model: unknown; messages: unknown }[] = [];
  await using server = new OpenAiServer(async (request) => {
    asked.push({ model: request.body.model, messages: request.body.messages });
    await request.stream(...words("yes"));
  });
  await using box = new Sandbox();
  const file = (name: string, content: string | Uint8Array): string => {
    const path = `${box.dir}/${name}`;
    Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return path;
  };
  const backends = ["one", "two"].map((name) => ({
    ...{ kind: "openai-compat", name, base_url: server.url, model: `model-${name}` },
  }));
  const config = file("config.json", JSON.stringify({ backends }));
  await using _daemon = await box.serve(["--config", config]);
  const [first, second] = [file("a.txt", "text of a\n"), file("b.txt", "text of b")];
  const texts = await box.run(["generate", "--file", first, "--file", second, "Compare"], { stdin: "and this" });
  assertEquals([texts.code, texts.stderr], [0, ""]);
  const content = "Compare\n\ntext of a\n\ntext of b\n\nand this";
  assertEquals(asked.pop(), { model: "model-one", messages: [{ role: "user", content }] });
  const png = file("dot.png", Uint8Array.fromBase64(DOT));
  const seen = await box.run(["generate", "--image", png, "--model", "model-two", "What is it?"], { stdin: "" });
  assertEquals([seen.code, seen.stderr], [0, ""]);
  assertEquals(asked.pop(), {
    model: "model-two",
    messages: [{
      role: "user",
      content: [
        { type: "image_url", image_url: { url: `data:image/png;base64,${DOT}` } },
        { type: "text", text: "What is it?" },
      ],
    }],
  });
  assertUsage(await box.run(["generate", "--file", png, "hi"]), "it is not a text in UTF-8; for an image use --image");
  assertUsage(await box.run(["generate", "--file", box.dir, "hi"]), "it is a folder");
  assertUsage(await box.run(["generate", "--image", `${box.dir}/none`, "hi"]), "there is no such file");
  assertUsage(await box.run(["generate", "--image", first, "hi"]), `Cannot use "${first}": it is not an image`);
  assertUsage(
    await box.run(["chat", "--model", "model-tow"], { stdin: "" }),
    'The daemon has no model "model-tow"; did you mean "model-two"?',
  );
});

Deno.test("inferd generate --stats tells how fast the answer was, beside the answer", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"tokens":["one ","two"],"delayMs":1}']);
  for (const more of [[], ["--thinking"]]) {
    const { code, stderr } = await box.run(["generate", "--stats", ...more, "hi"]);
    assertEquals(code, 0);
    assertMatch(stderr, /^2 tokens, [\d.]+ tokens\/s, first token after [\d.]+ m?s, prompt of 1 token$/m);
  }
  const { stdout, stderr } = await box.run(["generate", "--stats", "--json", "hi"]);
  assertEquals([JSON.parse(stdout).content, stderr], ["one two", "2 tokens, prompt of 1 token\n"]);
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
  assertUsage(await box.run(["embed"], { stdin: "\n" }), "No texts were given");
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
  assertUsage(await box.run(["rerank", "q"], { stdin: "" }), "No documents were given");
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
  assertStringIncludes(chat.stderr, "clear the conversation");
});

Deno.test("inferd chat answers a message that failed when it is told to retry", async () => {
  let asked = 0;
  await using server = new OpenAiServer(async (request) => {
    if (asked++ === 0) await request.json(500, { error: { message: "not now" } });
    else {await request.stream(
        ...words(`answer to ${(request.body.messages as { content: string }[]).at(-1)?.content}`),
      );}
  });
  await using box = new Sandbox();
  const config = `${box.dir}/config.json`;
  const backend = { kind: "openai-compat", name: "far", base_url: server.url, model: "m" };
  Deno.writeTextFileSync(config, JSON.stringify({ backends: [backend] }));
  await using _daemon = await box.serve(["--config", config]);
  const { stdout, stderr } = await box.run(["chat"], { stdin: "hello\n/retry\n/undo\n/retry\n" });
  assertEquals(stdout, "answer to hello\n", stderr);
  assertStringIncludes(stderr, "There is no answer to regenerate");
});

Deno.test("inferd chat forgets the oldest messages when the context is full, and says so", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve(["--n-ctx", "200"]);
  const lines = Array.from({ length: 6 }, (_, turn) => `Tell me a story about fox number ${turn}.`);
  const args = ["chat", "--max-tokens", "40", "--temperature", "0"];
  const { code, stdout, stderr } = await box.run(args, { stdin: lines.join("\n") });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^\(the context is full: the \d+ oldest messages were forgotten\)$/m);
  assert(stdout.trimEnd().split("\n").length >= lines.length, stdout);
});

Deno.test("inferd chat tells an error and goes on", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"failBefore":true}']);
  const chat = await box.run(["chat"], { stdin: "one\ntwo\n/exit\nthree\n" });
  assertEquals([chat.code, chat.stdout], [1, ""]);
  assertEquals(chat.stderr.match(/inferd: backend_unavailable: /g)?.length, 2);
});

Deno.test("inferd chat sets, switches and retries by its commands", async () => {
  const asked: { model: unknown; messages: unknown; temperature: unknown }[] = [];
  await using server = new OpenAiServer(async (request) => {
    const { model, messages, temperature } = request.body;
    asked.push({ model, messages, temperature });
    await request.stream(...words(`answer ${asked.length}`));
  });
  await using box = new Sandbox();
  const config = `${box.dir}/config.json`;
  const backends = ["one", "two"].map((name) => ({
    ...{ kind: "openai-compat", name, base_url: server.url, model: `model-${name}` },
  }));
  Deno.writeTextFileSync(config, JSON.stringify({ backends }));
  await using _daemon = await box.serve(["--config", config]);
  const saved = `${box.dir}/saved.json`;
  const lines = [
    ...["first", "/set temperature 0.5", "/set system Be brief.", "/model model-two", "/retry"],
    ...["/undo", `/save ${saved}`, "/model nobody", "/set top-p 7", "/set", "/nonsense", "/system"],
    ...["/set temprature 1", "/set colour 1", "/set max_tokens 9", "/load /nowhere", `/save ${box.dir}`],
    ...["second", `/load ${saved}`, "/undo", "third", "/bye", "never"],
  ];
  const { code, stdout, stderr } = await box.run(["chat"], { stdin: lines.join("\n") });
  assertEquals([code, stdout], [0, "answer 1\nanswer 2\nanswer 3\nanswer 4\n"], stderr);
  const user = (content: string): object => ({ role: "user", content });
  const brief = { role: "system", content: "Be brief." };
  assertEquals(asked.map(({ model, messages }) => [model, messages]), [
    ["model-one", [user("first")]],
    ["model-two", [brief, user("first")]],
    ["model-two", [user("second")]],
    ["model-two", [brief, user("third")]],
  ]);
  assertEquals(asked.map(({ temperature }) => temperature), [1, 0.5, 0.5, 0.5]);
  assertEquals(JSON.parse(Deno.readTextFileSync(saved)), [brief]);
  for (
    const said of [
      'The daemon has no model "nobody"; /model lists what it has',
      'Unknown command "/nonsense"; /help lists what there is',
      "Use /set NAME VALUE",
      "--top-p must be a number above 0, at most 1",
      'Cannot set "temprature"; did you mean "temperature"?',
      'Cannot set "colour"; there are system, max-tokens, temperature,',
      'Cannot load "/nowhere": there is no such file or folder',
      `Cannot save "${box.dir}": it is a folder`,
    ]
  ) assertStringIncludes(stderr, said);
});
