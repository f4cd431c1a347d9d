/** Ollama's Modelfile as a backend of the configuration file. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseConfigFile } from "../../src/config/file.ts";
import { backendOfModelfile, ModelfileError, type ModelfilePlaces } from "../../src/models/modelfile.ts";

const PLACES: ModelfilePlaces = {
  model: (from) => from === "llama3.2" ? { path: "/ollama/blobs/sha256-1" } : undefined,
  place: (path) => `/home/me/${path}`,
};

const WHOLE = `# A comment
FROM llama3.2
parameter temperature 0.2
PARAMETER num_ctx 4096
PARAMETER num_predict -1
PARAMETER use_mmap false
PARAMETER stop "<|end|>"
PARAMETER stop User:
PARAMETER mirostat 1
ADAPTER ./lora.gguf
SYSTEM """You are Mario.
Be "brief"."""
TEMPLATE """{{ if .System }}{{ .System }}{{ end }}"""
MESSAGE user "Is Rome a city?"
LICENSE MIT
`;

Deno.test("a Modelfile becomes a backend that the configuration file takes", () => {
  const { backend, left } = backendOfModelfile(WHOLE, "mario", PLACES);
  assertEquals(backend, {
    kind: "llamacpp",
    name: "mario",
    model: { path: "/ollama/blobs/sha256-1" },
    load: "on_demand",
    n_ctx: 4096,
    mmap: false,
    system: 'You are Mario.\nBe "brief".',
    sampling: { temperature: 0.2, stop: ["<|end|>", "User:"] },
    lora: [{ path: "/home/me/./lora.gguf", scale: 1 }],
  });
  parseConfigFile(JSON.stringify({ backends: [backend] }), "c.json");
  assertEquals(left.length, 3);
  for (const [index, word] of ["mirostat", "Go template", "MESSAGE"].entries()) {
    assertStringIncludes(left[index] ?? "", word);
  }
});

Deno.test("a text without quotes around it may have some inside", () => {
  const { backend } = backendOfModelfile('FROM llama3.2\nSYSTEM Say "hi" twice', "a", PLACES);
  assertEquals(backend.system, 'Say "hi" twice');
});

for (
  const [text, reason] of [
    ["SYSTEM hello", "There is no FROM"],
    ["FROM nobody", 'Line 1: there is no model "nobody"'],
    ["FROM llama3.2\nRUN x", 'Line 2: unknown instruction "RUN"'],
    ['FROM llama3.2\nSYSTEM """never closed', "Line 2: the text is not closed"],
    ["FROM llama3.2\nPARAMETER top_k many", 'Line 2: PARAMETER top_k cannot be "many"'],
  ] as const
) {
  Deno.test(`a Modelfile is refused with its line: ${reason}`, () => {
    assertStringIncludes(assertThrows(() => backendOfModelfile(text, "a", PLACES), ModelfileError).message, reason);
  });
}
