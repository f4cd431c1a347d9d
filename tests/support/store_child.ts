/**
 * A process that works on a store, as its first argument says, and tells on stdout. `pull` takes the root, a name, the
 * URL, the hash and the stage at which it stands still until it is killed; `hold` the root and the hash.
 */
import { type PullStage, Store } from "../../src/models/store.ts";
import { stayAlive } from "./waiting.ts";

const [work, root = "", ...args] = Deno.args;
const store = new Store(root);

async function standStill(word: string): Promise<never> {
  console.log(word);
  return await stayAlive();
}

if (work === "hold") {
  using _held = await store.hold(args[0] ?? "");
  await standStill("held");
} else {
  const [name = "", url = "", sha256 = "", stopAt = ""] = args;
  const onStage = (stage: PullStage): unknown => stage === stopAt ? standStill(`at ${stage}`) : undefined;
  const pulled = await store.pull({ name, url, sha256 }, { onStage, backoffMs: 1 });
  console.log(`pulled ${pulled.downloadedBytes}`);
}
