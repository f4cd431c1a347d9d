/** The draft model of a backend: what may be said of it, where its files are, and who may read them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { draftOf } from "../../../../src/config/backends/draft.ts";
import { parseConfigFile } from "../../../../src/config/file.ts";
import type { LoadedConfig } from "../../../../src/config/load.ts";
import type { DraftConfig, LlamaBackendConfig } from "../../../../src/config/options.ts";
import { resolveOptions } from "../../../../src/config/resolve.ts";
import type { SettingValues } from "../../../../src/config/schema.ts";
import { UsageError } from "../../../../src/config/setting/usage_error.ts";
import { blobPath } from "../../../../src/models/store/layout.ts";
import { keepsHashes } from "../../../../src/models/file/hash_cache.ts";
import { permissionFlags } from "../../../../src/monitor/permissions/permissions.ts";
import { daemonOptions } from "../../../support/daemons.ts";
import { loaded, MACHINE } from "../support.ts";

const HASH = "ab".repeat(32);

function local(more: Record<string, unknown>): Record<string, unknown> {
  return { backends: [{ kind: "llamacpp", name: "a", model: { name: "inferd-tiny" }, ...more }] };
}

function draft(given: SettingValues, config?: LoadedConfig): DraftConfig | undefined {
  const [backend] = resolveOptions(given, MACHINE, config).backends;
  return backend?.kind === "llamacpp" ? backend.draft : undefined;
}

Deno.test("resolveOptions finds a draft model by path and by name, in a backend, beside a model and by its flag", () => {
  const file = { modelName: "small", modelPath: "/etc/inferd/small.gguf", modelSha256: HASH };
  assertEquals(draft({}, loaded(local({ draft: { path: "small.gguf", sha256: HASH } }))), file);
  assertEquals(draft({}, loaded(local({ draft: { name: "inferd-tiny" } }))), { modelName: "inferd-tiny" });
  const beside = { model: { path: "big.gguf" }, draft: { path: "/m/small.gguf" } };
  assertEquals(draft({}, loaded(beside)), { modelName: "small", modelPath: "/m/small.gguf" });
  assertEquals(draft({ model: "/m/big.gguf", draft: "/m/small.gguf" }), {
    modelName: "small",
    modelPath: "/m/small.gguf",
  });
  assertEquals(draft({ draft: "inferd-tiny" }), { modelName: "inferd-tiny" });
  assertEquals(draft({}, loaded(local({}))), undefined);
  const url = "https://a.example/x.gguf";
  assertEquals(draft({}, loaded(local({ draft: { name: "x", sha256: HASH, source_url: url, size_bytes: 9 } }))), {
    modelName: "x",
    modelPath: blobPath("/h/.local/share/models", HASH),
    modelSha256: HASH,
    source: { url, sizeBytes: 9 },
  });
  assert(draft({ draft: "no-such-model" })?.missing?.includes("no model of that name"));
});

const WRONG: readonly (readonly [unknown, string])[] = [
  [local({ draft: {} }), 'backends[0].draft: must have either "path" or "name"'],
  [local({ draft: { path: "x", name: "y" } }), 'backends[0].draft: must have either "path" or "name"'],
  [
    local({ draft: { path: "x", source_url: "https://a.example/x" } }),
    'backends[0].draft.source_url: does not go with "path"',
  ],
  [{ draft: { path: "x" } }, 'draft: goes with "model" only, or inside of a backend'],
];

for (const [value, message] of WRONG) {
  Deno.test(`parseConfigFile says "${message}"`, () => {
    const error = assertThrows(() => parseConfigFile(JSON.stringify(value), "c.json"), UsageError);
    assertEquals(error.message, `Cannot use "c.json": ${message}`);
  });
}

Deno.test("resolveOptions refuses a draft model where nothing can be guessed with it", () => {
  const refused = (more: Record<string, unknown>): string =>
    assertThrows(() => draft({}, loaded(local({ draft: { path: "x" }, ...more }))), UsageError).message;
  assertEquals(
    refused({ speculation: false }),
    'Backend "a": "draft" does not go with "speculation" false: without it nothing is guessed',
  );
  assertEquals(
    refused({ embed: true }),
    'Backend "a": "draft" does not go with "embed": it guesses what a model writes',
  );
  assertEquals(refused({ pooling: "mean" }).includes('"pooling"'), true);
  assertThrows(() => draft({ draft: "x.gguf" }, loaded(local({}))), UsageError, "--draft goes with --model");
  assertThrows(
    () => draft({ draft: "x.gguf", backend: "mock" }),
    UsageError,
    "--draft does not go with --backend mock",
  );
});

const LLAMA: LlamaBackendConfig = { kind: "llamacpp", name: "a", modelName: "big", modelPath: "/m/big.gguf" };

Deno.test("permissionFlags lets the daemon read the files of a draft model", () => {
  const flagsOf = (draft: DraftConfig): string[] =>
    permissionFlags(daemonOptions("/d", { backends: [{ ...LLAMA, draft }], modelsHome: "/s" }), {
      env: [],
      execPath: "/bin/deno",
    });
  const reads = (draft: DraftConfig): string[] =>
    flagsOf(draft).find((flag) => flag.startsWith("--allow-read="))?.split("=")[1]?.split(",") ?? [];
  assert(reads({ modelName: "small", modelPath: "/m/small.gguf" }).includes("/m/small.gguf"));
  const stored = reads({ modelName: "small", modelPath: "/s/blobs/x", modelSha256: HASH, stored: "name" });
  assert(["/s/manifests", "/s/blobs/x"].every((path) => stored.some((one) => one.startsWith(path))), `${stored}`);
  const source = { url: "https://models.example/x.gguf" };
  assert(reads({ modelName: "small", source }).includes("/s"));
  assert(flagsOf({ modelName: "small", source }).some((flag) => /^--allow-net=.*models\.example/.test(flag)));
  assert(reads({ modelName: "inferd-tiny" }).some((path) => path.endsWith("/models/inferd-tiny.gguf")));
});

Deno.test("keepsHashes keeps what the store's names of draft models hash to", () => {
  const pinned = { ...LLAMA, modelSha256: HASH };
  const named = { modelName: "small", modelPath: "/s/x", modelSha256: HASH, stored: "name" } as const;
  assertEquals(keepsHashes({ backends: [pinned] }), false);
  assertEquals(keepsHashes({ backends: [{ ...pinned, draft: named }] }), true);
  // Once it has been fetched.
  const fetched = { modelName: "small", source: { url: "https://models.example/x.gguf" } };
  assertEquals(keepsHashes({ backends: [{ ...pinned, draft: fetched }] }), true);
});

Deno.test("draftOf is a backend of the same name with the draft as its model", () => {
  assertEquals(draftOf(LLAMA), undefined);
  assertEquals(draftOf({ ...LLAMA, draft: { modelName: "small", modelPath: "/m/small.gguf" } }), {
    kind: "llamacpp",
    name: "a",
    modelName: "small",
    modelPath: "/m/small.gguf",
  });
});
