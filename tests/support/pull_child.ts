/**
 * Opens the store that HTTP clients may download into as `inferd http` does, and prints as JSON what this thread may
 * still do, and how a pull ended.
 *
 * usage: pull_child.ts ROOT HUB REFERENCE
 */
import { thisMachine } from "../../src/cli/program.ts";
import { openPullStore } from "../../src/cli/pull_store.ts";

const [root = "", hub = "", reference = ""] = Deno.args;
using store = await openPullStore(root, thisMachine());

/** Whether it is permitted, even if it fails for another reason. */
async function may(work: () => unknown): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotCapable);
  }
}

const may_still = {
  write: await may(() => Deno.writeTextFileSync(`${root}/x`, "x")),
  read: await may(() => Deno.readDirSync(root)),
  connect: await may(async () => await (await fetch(hub)).body?.cancel()),
  token: await may(() => Deno.env.get("HF_TOKEN")),
};
const lines = await Array.fromAsync(store.pull(reference, new AbortController().signal));
console.log(JSON.stringify({ may_still, status: lines.at(-1)?.status }));
