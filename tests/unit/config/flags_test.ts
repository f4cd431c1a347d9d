import { assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { type CommandFlags, numberFlag, parseFlags } from "../../../src/config/flags.ts";
import type { MockScript } from "../../../src/config/options.ts";
import { HTTP_SETTINGS, type SettingName, SETTINGS } from "../../../src/config/schema.ts";
import { UsageError } from "../../../src/config/setting/usage_error.ts";
import { resolveOptions } from "../../../src/config/resolve.ts";

const SERVE: CommandFlags = { settings: Object.keys(SETTINGS) as SettingName[] };
const NO_ENV = (): undefined => undefined;
const machine = (env: Record<string, string>): Parameters<typeof resolveOptions>[1] => ({
  env: (name) => env[name],
  uid: 1000,
  platform: "linux",
  memoryBytes: 8e9,
});

Deno.test("parseFlags takes the flag when flag and variable are both given", () => {
  const env = (name: string): string | undefined => name === "INFERD_ACTIVE_PERMITS" ? "7" : undefined;
  assertEquals(parseFlags([], env, SERVE).values.parallel, 7);
  assertEquals(parseFlags(["--parallel", "3"], env, SERVE).values.parallel, 3);
  assertEquals(parseFlags(["--parallel=3"], env, SERVE).values.parallel, 3);
});

Deno.test("parseFlags treats an empty variable as not set when there is no flag", () => {
  assertEquals(parseFlags([], () => "", SERVE).values, {});
});

const BAD: readonly (readonly [string[], string])[] = [
  [["--paralel", "3"], 'Unknown flag "--paralel"'],
  [["-x"], 'Unknown flag "-x"'],
  [["--parallel", "0"], '--parallel must be a whole number from 1 to 256, got "0"'],
  [["--parallel", "3.5"], 'got "3.5"'],
  [["--parallel", "1e2"], 'got "1e2"'],
  [["--parallel"], "--parallel needs a value: N"],
  [["--parallel", "2", "--parallel", "3"], "--parallel was given 2 times"],
  [["--queue-depth=-1"], 'got "-1"'],
  [["--backend", "gpt"], '--backend must be one of mock, llamacpp, got "gpt"'],
  [["--tcp", "localhost:99999"], "--tcp must be HOST:PORT"],
  [["--tcp", "a b"], 'got "a b"'],
  [["--model-sha256", "abc"], "must be 64 hexadecimal digits"],
  [["--log-level", "loud"], "must be one of debug, info, warn, error"],
  [["--mock-script", "{"], "must be a JSON object"],
  [["--mock-script", '{"count":-1}'], '"count" does not fit'],
  [["--mock-script", '{"__proto__x":1}'], '"__proto__x" does not fit'],
  [["--mock-script", '{"services":[]}'], '"services" does not fit'],
  [["--mock-script", '{"services":["v3"]}'], '"services" does not fit'],
  [["--mock-script", '{"thinking":"hm"}'], '"thinking" does not fit'],
  [["--mock-script", '{"calls":[{"name":"t"}]}'], '"calls" does not fit'],
  [["--mock-script", '{"calls":[{"name":"t","input":[]}]}'], '"calls" does not fit'],
  [["--mock-script", '{"calls":[null]}'], '"calls" does not fit'],
  [["--mock-script", '{"dimensions":0}'], '"dimensions" does not fit'],
  [["--mock-script", '{"vision":1}'], '"vision" does not fit'],
];
for (const [args, message] of BAD) {
  Deno.test(`parseFlags says what is allowed when given ${JSON.stringify(args)}`, () => {
    assertThrows(() => parseFlags(args, NO_ENV, SERVE), UsageError, message);
  });
}

Deno.test("parseFlags names the variable when the wrong value came from the environment", () => {
  const error = assertThrows(() => parseFlags([], (name) => name === "INFERD_N_CTX" ? "many" : undefined, SERVE));
  assertInstanceOf(error, UsageError);
  assertStringIncludes(error.message, 'INFERD_N_CTX must be a whole number from 16 to 10000000, got "many"');
});

Deno.test("parseFlags never repeats a secret when it is refused", () => {
  const error = assertThrows(() => parseFlags(["--api-key", "s3cr3t\0"], NO_ENV, SERVE), UsageError);
  assertEquals(error.message.includes("s3cr3t"), false);
});

Deno.test("parseFlags gives the default endpoint when --tcp has no value", () => {
  assertEquals(parseFlags(["--tcp"], NO_ENV, SERVE).values.tcp, { hostname: "127.0.0.1", port: 47321 });
  assertEquals(parseFlags(["--tcp", "[::1]:5"], NO_ENV, SERVE).values.tcp, { hostname: "::1", port: 5 });
});

Deno.test("parseFlags keeps words as they are when they look like numbers", () => {
  assertEquals(parseFlags(["007", "--", "--not-a-flag"], NO_ENV, SERVE).rest, ["007", "--not-a-flag"]);
});

Deno.test("parseFlags refuses a value when the flag takes none", () => {
  const command = { settings: [], booleans: ["json"] };
  for (const arg of ["--json=3", "--json=false", "--help="]) {
    assertThrows(() => parseFlags([arg], NO_ENV, command), UsageError, `takes no value, got "${arg}"`);
  }
  assertEquals(parseFlags(["--json", "--", "--json=3"], NO_ENV, command).rest, ["--json=3"]);
});

Deno.test("numberFlag refuses what is no number in the range", () => {
  for (const text of ["nan", "3", "-1", "0x1", "1e0", " 1", "1."]) {
    const flags = parseFlags([`--t=${text}`], NO_ENV, { settings: [], strings: ["t"] });
    const error = assertThrows(() => numberFlag(flags, "t", { min: 0, max: 2 }), UsageError);
    assertEquals(error.message, `--t must be a number from 0 to 2, got "${text}"`);
  }
  const flags = parseFlags(["--t", "1.5"], NO_ENV, { settings: [], strings: ["t"] });
  assertEquals(numberFlag(flags, "t", { min: 0, max: 2 }), 1.5);
});

Deno.test("resolveOptions puts everything in the runtime directory when nothing is given", () => {
  const options = resolveOptions({}, machine({ XDG_RUNTIME_DIR: "/run/u", HOME: "/home/u" }));
  assertEquals(options, {
    backends: [{ kind: "llamacpp", name: "llamacpp", modelName: "inferd-tiny" }],
    runtimeDir: "/run/u/inferd",
    listen: {
      infer: { socket: "/run/u/inferd/infer.sock" },
      v2: { socket: "/run/u/inferd/infer.v2.sock" },
      embed: { socket: "/run/u/inferd/infer.embed.sock" },
      rerank: { socket: "/run/u/inferd/infer.rerank.sock" },
    },
    http: { enabled: false, address: { hostname: "127.0.0.1", port: 47325 }, origins: [], aliases: {} },
    rpcSocket: "/run/u/inferd/rpc.sock",
    namespace: "default",
    adminSocket: "/run/u/inferd/admin.sock",
    lockPath: "/run/u/inferd/inferd.lock",
    modelsHome: "/home/u/.local/share/models",
    autoPull: true,
    parallel: 4,
    queueDepth: 10,
    maxConnections: 2048,
    readyTimeoutSecs: 30,
    drainTimeoutSecs: 10,
    exitWhenDown: false,
    logDir: "/home/u/.inferd/logs",
    logLevel: "info",
    home: "/home/u",
    cacheDir: "/home/u/.inferd/cache",
  });
});

Deno.test("parseFlags takes a mock script with everything in it", () => {
  const script: MockScript = {
    tokens: ["a"],
    thinking: ["b"],
    calls: [{ name: "t", input: { x: 1 } }],
    services: ["v2", "embed"],
    vision: true,
    audio: false,
    dimensions: 3,
  };
  assertEquals(parseFlags(["--mock-script", JSON.stringify(script)], NO_ENV, SERVE).values.mockScript, script);
});

Deno.test("resolveOptions refuses settings that contradict each other", () => {
  assertThrows(() => resolveOptions({ backend: "mock", model: "x.gguf" }, machine({ HOME: "/h" })), UsageError);
  assertThrows(() => resolveOptions({ mockScript: {} }, machine({ HOME: "/h" })), UsageError);
});

Deno.test("parseFlags takes a flag of a list as often as it is given", () => {
  const command = { settings: [], lists: ["header"], words: 0 } as const;
  const noEnv = (): undefined => undefined;
  const { lists } = parseFlags(["--header", "A: 1", "--header=B: x=y"], noEnv, command);
  assertEquals(lists, { header: ["A: 1", "B: x=y"] });
  assertEquals(parseFlags([], noEnv, command).lists, { header: [] });
  assertThrows(() => parseFlags(["--header="], noEnv, command), UsageError, "--header needs a value");
});

Deno.test("parseFlags reads where HTTP listens, whose pages may use it and what names stand for", () => {
  const http = { settings: HTTP_SETTINGS, words: 0 } as const;
  assertEquals(parseFlags(["--http"], NO_ENV, http).values.http, { hostname: "127.0.0.1", port: 47325 });
  assertEquals(parseFlags(["--http", "[::1]:80"], NO_ENV, http).values.http, { hostname: "::1", port: 80 });
  const { values } = parseFlags(["--http-origins", "https://a.example, http://localhost:3000"], NO_ENV, http);
  assertEquals(values.httpOrigins, ["https://a.example", "http://localhost:3000"]);
  assertEquals(parseFlags(["--http-origins", "*"], NO_ENV, http).values.httpOrigins, ["*"]);
  for (const wrong of ["a.example", "https://a.example/", "https://a.example/path", "null"]) {
    assertThrows(() => parseFlags(["--http-origins", wrong], NO_ENV, http), UsageError, "must be origins like");
  }
  const { aliases } = parseFlags(["--aliases", "gpt-4o=big,gpt-4o-mini=small"], NO_ENV, http).values;
  assertEquals(aliases, { "gpt-4o": "big", "gpt-4o-mini": "small" });
});
