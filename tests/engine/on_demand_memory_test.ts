/** Two models of which the memory holds one: real engines that are told how much memory there is. */
import { assertEquals } from "@std/assert";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import { PipedProcess } from "../../src/processes/piped_process.ts";
import { LoadedModels } from "../../src/backend/on_demand/loaded_models.ts";
import { OnDemandBackend } from "../../src/backend/on_demand/on_demand.ts";
import { engineCommand } from "../../src/engine/ipc/command.ts";
import type { FromEngine, ToEngine } from "../../src/engine/ipc/messages.ts";
import { PLAIN } from "../../src/inference/request.ts";
import { MODEL_PATH } from "./engine_child.ts";

/** What fits: the model with its context once, and not beside another. */
const MEMORY_BYTES = Deno.statSync(MODEL_PATH).size * 1.6;

/** An engine that counts on that much memory. */
class SmallEngine extends PipedProcess<FromEngine, ToEngine> {
  override send(message: ToEngine): void {
    super.send(
      message.op === "load" ? { ...message, config: { ...message.config, memoryBytes: MEMORY_BYTES } } : message,
    );
  }
}

function backendOf(name: string, loaded: LoadedModels): OnDemandBackend {
  return new OnDemandBackend({
    name,
    loaded,
    isFirstLoadedBy: "request",
    leaves: true,
    loadTimeoutMs: 60_000,
    create: (room) =>
      new LlamaBackend({
        kind: "llamacpp",
        name,
        modelName: name,
        modelPath: MODEL_PATH,
        parallel: 1,
        accelerator: "cpu",
        // Otherwise the context would be lowered once nobody is left to make room.
        contextTokens: 256,
      }, { ...room, spawn: (listener) => new SmallEngine(engineCommand(), listener) }),
  });
}

async function answerOf(backend: OnDemandBackend): Promise<string> {
  const request = {
    ...PLAIN,
    messages: [{ role: "user" as const, content: "What is the capital of Japan?" }],
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 20,
    stop: [],
  };
  let text = "";
  for await (const event of backend.generate(request, new AbortController().signal)) {
    if (event.type === "text") text += event.text;
  }
  return text;
}

Deno.test("a model leaves memory when another one is asked that does not fit beside it", async () => {
  const loaded = new LoadedModels();
  await using first = backendOf("first", loaded);
  await using second = backendOf("second", loaded);
  for (const backend of [first, second]) await backend.start(() => {}, new AbortController().signal);
  const states: string[][] = [];
  for (const backend of [first, second, first]) {
    assertEquals(await answerOf(backend), "The capital of Japan is Tokyo.");
    states.push([first.state, second.state]);
  }
  assertEquals(states, [["ready", "asleep"], ["asleep", "ready"], ["ready", "asleep"]]);
});
