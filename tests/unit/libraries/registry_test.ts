import { assertEquals, assertThrows } from "@std/assert";
import { configuredRegistry, denoPackagesFolders, npmrcPaths, RegistryError } from "../../../src/libraries/registry.ts";

const PROGRAM = new URL("file:///opt/inferd/");

/** What is configured: variables, and the text of each `.npmrc`. */
function registry(
  env: Readonly<Record<string, string>>,
  { program, user, scope }: { readonly program?: string; readonly user?: string; readonly scope?: string } = {},
): unknown {
  const variables: Record<string, string> = { HOME: "/home/u", ...env };
  const files: Record<string, string | undefined> = { "/opt/inferd/.npmrc": program, "/home/u/.npmrc": user };
  const sources = {
    env: (name: string) => variables[name],
    read: (path: string) => files[path],
    program: PROGRAM,
  };
  const { url, authorization } = configuredRegistry(sources, scope);
  return authorization === undefined ? url.href : [url.href, authorization];
}

Deno.test("configuredRegistry goes by the variable, then the program's file, then the user's, then the public one", () => {
  const [a, b, c] = ["https://a.example/", "https://b.example/npm/", "https://c.example/"];
  const user = `; a comment\n# another\nregistry = ${c}\n`;
  assertEquals(registry({}), "https://registry.npmjs.org/");
  assertEquals(registry({}, { user }), c);
  assertEquals(registry({}, { user, program: "registry=https://b.example/npm\r\n" }), b);
  assertEquals(registry({ NPM_CONFIG_REGISTRY: a }, { user, program: `registry=${b}` }), a);
  assertEquals(registry({ NPM_CONFIG_REGISTRY: "" }, { user }), c);
});

Deno.test("configuredRegistry takes the scope's own registry before all others, for packages of that scope", () => {
  const user = '@scope:registry="https://own.example/"\nregistry=https://c.example/';
  const env = { NPM_CONFIG_REGISTRY: "https://a.example/" };
  assertEquals(registry(env, { user, scope: "@scope" }), "https://own.example/");
  assertEquals(registry(env, { user, scope: "@other" }), "https://a.example/");
  assertEquals(registry(env, { user }), "https://a.example/");
});

Deno.test("configuredRegistry has the key that is nearest to the registry's address", () => {
  const of = (lines: readonly string[], env = {}): unknown =>
    registry(env, { user: ["registry=https://h.example:8443/npm/own/", ...lines].join("\n") });
  const url = "https://h.example:8443/npm/own/";
  assertEquals(of(["//h.example:8443/npm/own/:_authToken=near", "//h.example:8443/:_authToken=far"]), [
    url,
    "Bearer near",
  ]);
  assertEquals(of(["//h.example:8443/:_authToken=${NPM_TOKEN}"], { NPM_TOKEN: "secret" }), [url, "Bearer secret"]);
  assertEquals(of(["//h.example:8443/npm/:_auth=dTpw"]), [url, "Basic dTpw"]);
  assertEquals(of(["//h.example:8443/:username=u", `//h.example:8443/:_password=${btoa("p")}`]), [
    url,
    `Basic ${btoa("u:p")}`,
  ]);
  assertEquals(of(["//h.example/:_authToken=another port's", "//other.example:8443/:_authToken=another host's"]), url);
});

Deno.test("configuredRegistry refuses what is no address of a registry", () => {
  for (const text of ["nowhere", "file:///srv/npm", "http://"]) {
    const error = assertThrows(() => registry({ NPM_CONFIG_REGISTRY: text }), RegistryError);
    assertEquals(error.message, `The registry that npm is configured with must be an http or https URL, got "${text}"`);
  }
});

Deno.test("npmrcPaths leaves the program's folder out when the program is not on a disk", () => {
  assertEquals(npmrcPaths("/home/u", PROGRAM), ["/opt/inferd/.npmrc", "/home/u/.npmrc"]);
  assertEquals(npmrcPaths(undefined, new URL("https://jsr.example/")), []);
});

Deno.test("denoPackagesFolders names folders as Deno does, and the public registry's too", () => {
  const machine = (env: Record<string, string>, os = "linux"): Parameters<typeof denoPackagesFolders>[1] => ({
    os,
    env: (name) => env[name],
  });
  const home = machine({ HOME: "/home/u" });
  const npmjs = "/home/u/.cache/deno/npm/registry.npmjs.org";
  assertEquals(denoPackagesFolders(new URL("https://registry.npmjs.org/"), home), [npmjs]);
  assertEquals(denoPackagesFolders(new URL("https://h.example:8443/npm/own/"), home), [
    "/home/u/.cache/deno/npm/h.example_8443/npm/own",
    npmjs,
  ]);
  assertEquals(denoPackagesFolders(new URL("http://127.0.0.1:4873/"), home)[0], "/home/u/.cache/deno/npm/4873");
  assertEquals(denoPackagesFolders(new URL("http://10.0.0.1/npm/"), home)[0], "/home/u/.cache/deno/npm/npm");
  const root = (env: Record<string, string>, os?: string): string | undefined =>
    denoPackagesFolders(new URL("https://r.example/"), machine(env, os))[0]?.replace("/npm/r.example", "");
  assertEquals(root({ HOME: "/home/u", DENO_DIR: "/deno" }), "/deno");
  assertEquals(root({ HOME: "/home/u", XDG_CACHE_HOME: "/cache" }), "/cache/deno");
  assertEquals(root({ HOME: "/Users/u" }, "darwin"), "/Users/u/Library/Caches/deno");
  assertEquals(root({ LOCALAPPDATA: "C:\\Local" }, "windows"), "C:\\Local/deno");
  assertEquals(root({}), undefined);
});
