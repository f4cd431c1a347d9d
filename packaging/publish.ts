/**
 * Publishes all packages to JSR, the client first: the others import it. What is published cannot be changed any more,
 * so all are checked before the first is uploaded, as their users get them: from a copy of the checkout whose `@std/*`
 * are those of JSR, not the stand-ins that `links` in deno.json point at. It needs JSR.
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

/** What is of use to a package of `deno.json`. While something is linked it cannot be excluded. */
function withoutLinks({ links: _links, tasks: _tasks, lint: _lint, fmt: _fmt, publish, ...config }: Config): object {
  return { ...config, publish: { exclude: [...publish.exclude, "links"] } };
}
