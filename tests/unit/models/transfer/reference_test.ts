/** Names, places and references, without any file. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { blobPath, isModelName, modelsHome } from "../../../../src/models/store/layout.ts";
import { parseManifest } from "../../../../src/models/store/manifest.ts";
import { nameOfModelFile, parseReference, urlOfSource } from "../../../../src/models/transfer/reference.ts";
import { ModelStoreError } from "../../../../src/models/store/store_error.ts";

const noEnv = (): undefined => undefined;

function refused(text: string): string {
  return assertThrows(() => parseReference(text, noEnv), ModelStoreError).code;
}

Deno.test("isModelName allows 128 letters, digits, dots, dashes and underscores, no leading dot and no two dots", () => {
  for (const name of ["a", "Llama-3.2_1B.Q4", "-", "x".repeat(128)]) assert(isModelName(name), name);
  for (const name of ["", ".a", "a..b", "a/b", "a b", "ä", "a\n", "x".repeat(129)]) assert(!isModelName(name), name);
});

Deno.test("modelsHome is nowhere when nothing says where a user's data is", () => {
  for (const platform of ["linux", "darwin", "windows"]) {
    assertEquals(modelsHome({ platform, env: (name) => name === "HOME" ? "" : undefined }), undefined);
  }
});

Deno.test("modelsHome goes by MODELS_HOME, then by what the platform has", () => {
  const at = (platform: string, env: Record<string, string>): string | undefined =>
    modelsHome({ platform, env: (name) => env[name] });
  assertEquals(at("linux", { MODELS_HOME: "/m", HOME: "/h", XDG_DATA_HOME: "/x" }), "/m");
  assertEquals(at("linux", { HOME: "/h", XDG_DATA_HOME: "/x" }), "/x/models");
  assertEquals(at("linux", { HOME: "/h", XDG_DATA_HOME: "" }), "/h/.local/share/models");
  assertEquals(at("darwin", { HOME: "/h" }), "/h/Library/Application Support/models");
  assertEquals(at("windows", { LOCALAPPDATA: "/l" }), "/l/models");
  const sha256 = "ab".repeat(32);
  assertEquals(blobPath("/m", sha256), `/m/blobs/sha256/ab/${sha256}/data`);
});

Deno.test("parseReference makes a URL, a name and a source of an hf: reference", () => {
  const { url, name, source } = parseReference("hf:owner/My.Repo/sub/Model-Q4_K.gguf@refs/pr/1", noEnv);
  assertEquals(url.href, "https://huggingface.co/owner/My.Repo/resolve/refs%2Fpr%2F1/sub/Model-Q4_K.gguf");
  assertEquals(name, "Model-Q4_K");
  assertEquals(source, {
    registry: "huggingface",
    repo: "owner/My.Repo",
    revision: "refs/pr/1",
    filename: "sub/Model-Q4_K.gguf",
  });
  assertEquals(
    parseReference("hf:o/r/f.gguf", noEnv).url.href,
    "https://huggingface.co/o/r/resolve/main/f.gguf",
  );
  const mirror = parseReference("hf:o/r/f.gguf", (name) => name === "HF_ENDPOINT" ? "https://hf.mirror/x/" : undefined);
  assertEquals(mirror.url.href, "https://hf.mirror/x/o/r/resolve/main/f.gguf");
});

Deno.test("parseReference takes https URLs, http ones of this machine, and knows Hugging Face's", () => {
  const { name, source } = parseReference("https://huggingface.co/o/r/resolve/v1/a%20b.gguf?download=true", noEnv);
  assertEquals(name, "a-b");
  assertEquals(source, { registry: "huggingface", repo: "o/r", revision: "v1", filename: "a b.gguf" });
  for (const url of ["http://127.0.0.1:8/x.gguf", "http://localhost/x.gguf", "http://[::1]/x.gguf"]) {
    assertEquals(parseReference(url, noEnv).name, "x");
  }
  assertEquals(parseReference("https://example.com/x.gguf", noEnv).source, {
    registry: "example.com",
    repo: null,
    revision: null,
    filename: "x.gguf",
  });
});

Deno.test("parseReference says what is wrong when a reference cannot be pulled", () => {
  for (
    const text of [
      "x",
      "hf:",
      "hf:o/r",
      "hf:o/r/",
      "hf:o/r/f.bin",
      "hf:o/r/../f.gguf",
      "hf:o/../f/x.gguf",
      "hf:o/r/f.gguf@",
    ]
  ) assertStrictEquals(refused(text), "bad_reference", text);
  for (const text of ["http://example.com/x.gguf", "http://127.0.0.1.example.com/x.gguf", "file:///x.gguf"]) {
    assertStrictEquals(refused(text), "insecure", text);
  }
  assertStrictEquals(refused("https://me:secret@example.com/x.gguf"), "bad_reference");
});

Deno.test("nameOfModelFile leaves the numbers of a split model out, and others in", () => {
  const names = ["q/Big-Q4-00001-of-00003.gguf", "Big-00003-of-00003.GGUF", "x-00002-of-00001.gguf", "x-1-of-2.gguf"];
  assertEquals(names.map(nameOfModelFile), ["Big-Q4", "Big", "x-00002-of-00001", "x-1-of-2"]);
  assertEquals(parseReference("hf:o/r/f-00001-of-00002.gguf", noEnv).name, "f");
});

Deno.test("urlOfSource tells where a model can be fetched again", () => {
  for (
    const url of [
      "https://huggingface.co/o/r/resolve/v1/sub/a%20b.gguf",
      "https://models.example:8443/a/x.gguf",
      "http://127.0.0.1:8080/x.gguf",
      "http://localhost/x.gguf",
    ]
  ) assertEquals(urlOfSource(parseReference(url, noEnv).source, noEnv)?.href, url);
  const mirror = urlOfSource(
    { registry: "huggingface", repo: "o/r", revision: null, filename: "f.gguf" },
    (name) => name === "HF_ENDPOINT" ? "http://127.0.0.1:9" : undefined,
  );
  assertEquals(mirror?.href, "http://127.0.0.1:9/o/r/resolve/main/f.gguf");
  for (const registry of ["file", "ollama", "lmstudio", null]) {
    assertEquals(urlOfSource({ registry, repo: "o/r", revision: null, filename: "f.gguf" }, noEnv), undefined);
  }
  assertEquals(urlOfSource(null, noEnv), undefined);
});

Deno.test("nameOfModelFile always makes a name that a model can have", () => {
  for (const path of ["/a/b.gguf", "..gguf", "ä ö.gguf", "a..b.gguf", "", ".hidden.GGUF", `${"x".repeat(300)}.gguf`]) {
    assert(isModelName(nameOfModelFile(path)), path);
  }
});

Deno.test("parseManifest reads the files of a split model, and passes over what others mean by the word", () => {
  const [a, b] = ["a", "b"].map((digit) => `sha256:${digit.repeat(64)}`);
  const parts = (shards: unknown): unknown => {
    const manifest = parseManifest("x", JSON.stringify({ blob: a, size_bytes: 5, shards }));
    return "reason" in manifest
      ? manifest.reason
      : manifest.parts.map(({ sha256, sizeBytes }) => [sha256[0], sizeBytes]);
  };
  assertEquals(parts([{ blob: a, size_bytes: 5 }, { blob: b, size_bytes: 7 }]), [["a", 5], ["b", 7]]);
  assertEquals(parts([{ blob: a }, { blob: b, size_bytes: "7" }]), [["a", null], ["b", null]]);
  for (
    const other of [undefined, null, 3, [], [{ blob: a }], [{ blob: b }, { blob: a }], [{ blob: a }, {}], ["a", "b"], [
      null,
      null,
    ]]
  ) {
    assertEquals(parts(other), [["a", 5]], JSON.stringify(other));
  }
});

Deno.test("parseManifest asks for the blob alone and says what is wrong with it", () => {
  const blob = `sha256:${"a".repeat(64)}`;
  assertEquals(parseManifest("x", JSON.stringify({ blob, schema_version: 9, name: 5, license: 7, source: "web" })), {
    name: "x",
    parts: [{ sha256: "a".repeat(64), sizeBytes: null }],
    license: null,
    source: null,
    producedBy: null,
    producedAt: null,
  });
  for (const text of ["", "[]", "null", "5", "{}", '{"blob":"sha256:../../x"}', `{"blob":"${blob}","size_bytes":-1}`]) {
    assert("reason" in parseManifest("x", text), text);
  }
});
