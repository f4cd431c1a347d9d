/** The client in a real Node process: its sources, without their types, against real sockets. */
import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import ts from "npm:typescript@5.9.3";
import { done, failed, type Peer, Scratch, type Script, ScriptedServer, token } from "./support.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const FLOOD_PIECES = 400;

async function nodeMajor(): Promise<number> {
  try {
    const { stdout } = await new Deno.Command("node", { args: ["--version"], stderr: "null" }).output();
    return Number(/^v(\d+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Put a folder's TypeScript into another as JavaScript. */
async function transpile(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const source = join(from, entry.name);
    if (entry.isDirectory) await transpile(source, join(to, entry.name));
    else if (entry.name.endsWith(".ts")) await transpileFile(source, join(to, entry.name));
  }
}

async function transpileFile(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  const { outputText } = ts.transpileModule(await Deno.readTextFile(from), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  await Deno.writeTextFile(to.replace(/\.ts$/, ".js"), outputText);
}

/** Behaves as the prompt says. */
function obeying(): Script {
  let held = 0;
  let floods = 0;
  return async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const request = JSON.parse(line);
      if (request.type === "auth") {
        if (request.key !== "key") return;
        continue;
      }
      const { id, messages: [{ content }] } = request;
      if (content === "tokens") await tokens(id, peer);
      else if (content === "fail") await peer.send(failed(id, "queue_full"));
      else if (content === "hang up") return;
      else if (content === "hang") await peer.send(token(id, "a"));
      else if (content === "how much was sent?") await peer.send(done(id, String(held)));
      else if (content === "flood") {
        const first = floods++ === 0;
        for (let piece = 0; piece < FLOOD_PIECES; piece++) {
          await peer.send(token(id, "x".repeat(32 * 1024)));
          if (first) held++;
        }
        await peer.send(done(id, "all"));
      } else throw new Error(`Unknown prompt ${content}`);
    }
  };
}

async function tokens(id: string, peer: Peer): Promise<void> {
  const frames = [token(id, "Grüße "), token(id, "🦊"), done(id, "Grüße 🦊")];
  const bytes = new TextEncoder().encode(frames.map((frame) => JSON.stringify(frame) + "\n").join(""));
  for (let at = 0; at < bytes.length; at += 7) await peer.write(bytes.subarray(at, at + 7));
}

const ready: Script = async (peer) => {
  const status = { id: "admin", type: "status" };
  await peer.send({ ...status, status: "ready" }, { ...status, status: "draining" });
};

Deno.test({
  name: "the client works in Node over a unix socket and TCP",
  ignore: await nodeMajor() < 20,
  async fn(): Promise<void> {
    await using scratch = new Scratch();
    await transpile(join(ROOT, "client"), scratch.path("client"));
    const scenario = "tests/client/node_scenario.ts";
    await transpileFile(join(ROOT, scenario), scratch.path(scenario));
    await Deno.writeTextFile(scratch.path("package.json"), '{"type":"module"}');

    await using _infer = new ScriptedServer(obeying(), { path: scratch.path("infer.sock") });
    await using _admin = new ScriptedServer(ready, { path: scratch.path("admin.sock") });
    await using tcp = new ScriptedServer(obeying(), { port: 0 });
    const { code, stdout, stderr } = await new Deno.Command("node", {
      args: [
        scratch.path(scenario.replace(/\.ts$/, ".js")),
        scratch.path("infer.sock"),
        scratch.path("admin.sock"),
        String(tcp.port),
        scratch.dir,
      ],
    }).output();
    const text = new TextDecoder();
    assertEquals([code, text.decode(stdout), text.decode(stderr)], [0, "done\n", ""]);
  },
});
