import { assertEquals } from "@std/assert";
import {
  type CallFacts,
  denoWords,
  howCalled,
  quoted,
  setCalledAs,
  TASKS,
  typed,
} from "../../../../src/config/setting/typed_command.ts";
import config from "../../../../deno.json" with { type: "json" };
import { COMMANDS } from "../../../../src/cli/commands.ts";

const DENO = "/usr/bin/deno";
const CHECKOUT = "file:///home/x/my%20src/inferd/main.ts";
const PUBLISHED = "https://jsr.io/@inferd/daemon/0.1.0/main.ts";

function called(facts: Partial<Omit<CallFacts, "env">> & { env?: Record<string, string> }): string {
  const { env = {}, ...rest } = facts;
  return howCalled({
    isStandalone: false,
    execPath: DENO,
    mainModule: CHECKOUT,
    isInstalled: () => false,
    ...rest,
    env: (name) => env[name],
  });
}

Deno.test("messages name commands as the process was started", () => {
  const folder = "/home/x/my src/inferd";
  for (const INIT_CWD of [folder, `${folder}/docs`]) assertEquals(called({ env: { INIT_CWD } }), "deno task");
  assertEquals(called({ env: { INIT_CWD: `${folder}2` }, isInstalled: () => true }), "inferd");
  const npx = "/home/x/.npm/_npx/05b6/node_modules/deno/deno";
  assertEquals(called({ env: { INIT_CWD: folder }, execPath: npx }), "npx --yes deno task");
  assertEquals(called({}), "deno run -A '/home/x/my src/inferd/main.ts'");
  assertEquals(called({ isInstalled: () => true }), "inferd");
  assertEquals(called({ mainModule: PUBLISHED, isInstalled: () => true }), "inferd");
  // Whatever task of another project has started it.
  assertEquals(called({ mainModule: PUBLISHED, env: { INIT_CWD: "/x" } }), "deno run -A jsr:@inferd/daemon");
  assertEquals(called({ isStandalone: true, execPath: "/opt/inferd-linux" }), "inferd-linux");
  assertEquals(called({ env: { INFERD_CALLED_AS: "mine", INIT_CWD: "/x" }, isStandalone: true }), "mine");
});

Deno.test("Deno is typed as this user has it", () => {
  assertEquals([denoWords(DENO), denoWords("/home/x/.npm/_npx/05b6/node_modules/deno/deno")], [
    "deno",
    "npx --yes deno",
  ]);
});

Deno.test("a command is typed with its words, and as a task by the task's name", () => {
  try {
    assertEquals(typed("pull NAME"), "inferd pull NAME");
    setCalledAs("deno task");
    assertEquals([typed("serve --tcp"), typed("chat")], ["deno task start --tcp", "deno task chat"]);
  } finally {
    setCalledAs("inferd");
  }
});

Deno.test("every command has a task", () => {
  const tasks: Readonly<Record<string, { readonly command: string }>> = config.tasks;
  for (const name of Object.keys(COMMANDS)) {
    assertEquals(tasks[TASKS[name] ?? name]?.command.match(/main\.ts (--exact-permissions )?(\S+)$/)?.[2], name);
  }
});

Deno.test("a word is quoted where a shell would take it apart", () => {
  assertEquals([quoted("a.gguf"), quoted("my model"), quoted("it's")], ["a.gguf", "'my model'", "'it'\\''s'"]);
});
