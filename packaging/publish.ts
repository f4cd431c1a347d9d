/**
 * Publishes both packages to JSR. `links` in deno.json point `@std/*` at local folders for networks without JSR; a
 * published package must not, so this writes the configuration without them and publishes with that. It needs JSR.
 *
 * usage: deno task publish [flags of deno publish]
 */
const root = new URL("../", import.meta.url);
const unlinked = new URL("deno.publish.json", root);

const { links: _, ...config } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
config.publish.exclude.push("links", "deno.publish.json");
await Deno.writeTextFile(unlinked, JSON.stringify(config, null, 2));
try {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["publish", "--config", "deno.publish.json", "--no-lock", "--allow-dirty", ...Deno.args],
    cwd: root,
  }).spawn();
  Deno.exitCode = (await child.status).code;
} finally {
  await Deno.remove(unlinked);
}
