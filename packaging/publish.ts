/**
 * Publishes all packages to JSR, the client first because the others import it. A published version cannot be changed,
 * so all packages are checked before the first upload, in a copy of the checkout with JSR's `@std/*` instead of the
 * stand-ins under `links`. Requires access to JSR.
 *
 * usage: deno task publish [flags of deno publish]
 */
import { join } from "@std/path";
import { type Config, copyCheckout, deno, PACKAGES } from "./copy.ts";

await using copy = await copyCheckout(withoutLinks);
const onlyChecks = Deno.args.includes("--dry-run");
const rounds = onlyChecks ? [[]] : [["--dry-run"], []];
const steps = rounds.flatMap((flags) => PACKAGES.map((folder) => ({ folder, flags })));
for (const { folder, flags } of steps) {
  if (await deno(["publish", ...flags, ...Deno.args], join(copy.path, folder))) continue;
  Deno.exitCode = 1;
  break;
}

/** The parts of `deno.json` that matter to a package. `links` cannot be excluded while anything is linked. */
function withoutLinks({ links: _links, tasks: _tasks, lint: _lint, fmt: _fmt, publish, ...config }: Config): object {
  return { ...config, publish: { exclude: [...publish.exclude, "links"] } };
}
