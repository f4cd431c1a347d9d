/**
 * Publishes both packages to JSR, the client first: the daemon imports it. `links` in deno.json point `@std/*` at local
 * folders for networks without JSR; a published package must not, so this writes the configuration without them and
 * publishes the daemon with that. It needs JSR.
 *
 * usage: deno task publish [flags of deno publish]
 */
const root = new URL("../", import.meta.url);
const unlinked = new URL("deno.publish.json", root);

const { links: _, ...config } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
config.publish.exclude.push("links", "deno.publish.json");
await Deno.writeTextFile(unlinked, JSON.stringify(config, null, 2));
try {
  for (const [cwd, configFile] of [["client", "deno.json"], [".", "deno.publish.json"]] as const) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["publish", "--config", configFile, "--no-lock", "--allow-dirty", ...Deno.args],
      cwd: new URL(cwd, root),
    }).spawn();
    const { code } = await child.status;
    if (code !== 0) {
      Deno.exitCode = code;
      break;
    }
  }
} finally {
  await Deno.remove(unlinked);
}
