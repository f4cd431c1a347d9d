import { assertEquals, assertThrows } from "@std/assert";
import { chatWrappersCommand, fetchCommand } from "../../../../src/libraries/fetch/fetch_command.ts";
import { LibraryError } from "../../../../src/libraries/library_files.ts";
import { npmrcPaths } from "../../../../src/libraries/registry.ts";

Deno.test("fetchCommand runs this deno with the network, its folder, and nothing to start or call", () => {
  const { command, args, env } = fetchCommand("/home/u v/.inferd/cache", "/home/u v");
  assertEquals([command, env], [Deno.execPath(), undefined]);
  assertEquals(args.at(-1), new URL("../../../../src/libraries/fetch/fetch_main.ts", import.meta.url).href);
  const read = ["/home/u v/.inferd/cache", ...npmrcPaths("/home/u v")].join();
  assertEquals(args.filter((arg) => arg.startsWith("--") && arg !== "--quiet"), [
    "--no-prompt",
    `--allow-read=${read}`,
    "--allow-write=/home/u v/.inferd/cache",
    "--allow-net",
    "--ignore-env",
    "--allow-env=HOME,NPM_CONFIG_REGISTRY,NPM_TOKEN,NODE_AUTH_TOKEN",
  ]);
});

Deno.test("fetchCommand passes paths with a comma as a set where it is told how, and refuses them elsewhere", () => {
  const folder = "/home/u,v/.inferd/cache";
  assertThrows(() => fetchCommand(folder, "/home/w"), LibraryError, `"${folder}"`);
  const passSet = (set: unknown): string[] => [JSON.stringify(set)];
  const { args } = fetchCommand(folder, undefined, { socket: "/run/s", passSet });
  const read = [folder, "/run/s", ...npmrcPaths(undefined)];
  assertEquals(args.slice(2, 6), [
    "--no-prompt",
    JSON.stringify({ read, write: read.slice(0, 2) }),
    "--allow-net",
    "--ignore-env",
  ]);
});

Deno.test("chatWrappersCommand has Deno fetch the wrappers without packages of libraries, and run nothing", () => {
  const { command, args, env } = chatWrappersCommand();
  assertEquals([command, args[0], env?.DENO_INSTALL_ARCH], [Deno.execPath(), "cache", "none"]);
  assertEquals(args.at(-1), new URL("../../../../src/engine/chat/render/chat_wrappers.ts", import.meta.url).href);
});
