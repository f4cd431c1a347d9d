/** The programs in examples/, each in Deno and in Node, against a scripted daemon. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { callPart, done, doneV2, Scratch, type Script, ScriptedServer, textPart, token } from "./client/support.ts";
import { nodeMajor, transpile, transpileFile } from "./support/node_client.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

interface Example {
  readonly name: string;
  readonly stdin?: string;
  readonly args?: readonly string[];
  readonly expected: readonly string[];
}

const EXAMPLES: readonly Example[] = [
  { name: "chat", stdin: "hello\nand?\n\n", expected: ["1 messages: hello", "3 messages: and?"] },
  { name: "extraction", expected: ['{"name":"Ada","born":1815}'] },
  {
    name: "agent",
    expected: ['[days_between {"from":"2026-01-01","to":"2026-03-01"}]', "[= 59]", "There are 59 days."],
  },
  { name: "retrieval", expected: ["Source: The library is open", "1 messages: The library is open"] },
  {
    name: "dashboard",
    args: ["1"],
    expected: ["ready: 1 running, 2 waiting, 7 done", "  scripted tiny", "  #5 infer 40 ms"],
  },
  { name: "type_ahead", stdin: "one\none two\n", expected: ["one two | 1 messages: Continue this text"] },
];

async function lines(peer: Parameters<Script>[0], answer: (line: string) => Promise<unknown>): Promise<void> {
  for (let line = await peer.line(); line !== null; line = await peer.line()) await answer(line);
}

const infer: Script = (peer) =>
  lines(peer, (line) => {
    const { id, messages } = JSON.parse(line);
    const text = `${messages.length} messages: ${messages.at(-1).content}`;
    return peer.send(token(id, text), done(id, text));
  });

const v2: Script = (peer) =>
  lines(peer, (line) => {
    const { id, messages, response_format: format } = JSON.parse(line);
    const [block] = messages.at(-1).content;
    if (format !== undefined) return peer.send(textPart(id, '{"name":"Ada","born":1815}'), doneV2(id));
    if (block.type === "tool_result") {
      return peer.send(textPart(id, `There are ${block.content[0].text} days.`), doneV2(id));
    }
    const call = callPart(id, ["1", "days_between", { from: "2026-01-01", to: "2026-03-01" }]);
    return peer.send(call, doneV2(id, { stop_reason: "tool_use" }));
  });

const embed: Script = (peer) =>
  lines(peer, (line) => {
    const { id, input } = JSON.parse(line);
    const embeddings = input.map((text: string) => text.includes("library") ? [1, 0] : [0, 1]);
    const about = { model: "tiny", usage: { input_tokens: 1 }, backend: "scripted" };
    return peer.send({ type: "embeddings", id, embeddings, dimensions: 2, ...about });
  });

const admin: Script = async (peer) => {
  const head = { id: "admin", type: "status" };
  const can = { v2: true, vision: false, audio: false, tools: true, thinking: false, embed: true };
  await peer.send(
    { ...head, status: "capabilities", backend: "scripted", model: "tiny", ...can, accelerator: "cpu", gpu_layers: 0 },
    { ...head, status: "ready" },
  );
  await lines(peer, () =>
    peer.send({
      type: "requests",
      requests: [{ number: 5, id: "x", service: "infer", state: "running", age_ms: 40, pieces: 3 }],
      totals: {
        done: 7,
        failed: 0,
        prompt_tokens: 1,
        completion_tokens: 1,
        first_tokens: 1,
        first_token_ms: 1,
      },
      queue: { active: 1, waiting: 2, depth: 10 },
    }));
};

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly dir: string;
}

async function assertRuns({ command, args, dir }: Program, { stdin = "", expected }: Example): Promise<void> {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { INFERD_UDS: join(dir, "infer.sock"), INFERD_ADMIN_ADDR: join(dir, "admin.sock"), NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const [out = "", err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, err], [0, ""]);
  for (const text of expected) assertStringIncludes(out, text);
}

async function withDaemon(test: (dir: string) => Promise<void>): Promise<void> {
  await using scratch = new Scratch();
  await using _infer = new ScriptedServer(infer, { path: scratch.path() });
  await using _v2 = new ScriptedServer(v2, { path: scratch.path("infer.v2.sock") });
  await using _embed = new ScriptedServer(embed, { path: scratch.path("infer.embed.sock") });
  await using _admin = new ScriptedServer(admin, { path: scratch.path("admin.sock") });
  await test(scratch.dir);
}

for (const example of EXAMPLES) {
  const { name, args = [] } = example;
  Deno.test(`the example "${name}" runs in Deno`, async () => {
    await withDaemon(async (dir) => {
      const file = join(ROOT, "examples", `${name}.ts`);
      await assertRuns({ command: Deno.execPath(), args: ["run", "--quiet", "-A", file, ...args], dir }, example);
    });
  });
}

Deno.test({
  name: "the examples run in Node",
  ignore: await nodeMajor() < 20,
  async fn(t): Promise<void> {
    await withDaemon(async (dir) => {
      const client = join(dir, "node_modules/@inferd/client");
      await transpile(join(ROOT, "client"), client);
      await Deno.writeTextFile(join(dir, "package.json"), '{"type":"module"}');
      const exports = { type: "module", exports: "./mod.js" };
      await Deno.writeTextFile(join(client, "package.json"), JSON.stringify(exports));
      for (const example of EXAMPLES) {
        const { name, args = [] } = example;
        const file = join(dir, `${name}.ts`);
        await transpileFile(join(ROOT, "examples", `${name}.ts`), file);
        await t.step(
          name,
          () => assertRuns({ command: "node", args: [file.replace(/ts$/, "js"), ...args], dir }, example),
        );
      }
    });
  },
});
