/** Looks at how the daemon would connect to servers elsewhere. Asks none of them: a request may cost something. */
import type { DaemonOptions } from "../../config/options.ts";
import { proxyFor } from "../../backend/openai/http_client.ts";
import { type Finding, Findings } from "./finding.ts";

/** Look at the remote backends: through which proxy, if any. */
export function checkRemotes({ backends }: DaemonOptions): readonly Finding[] {
  const findings = new Findings("remote backends");
  for (const backend of backends) {
    if (backend.kind !== "openai-compat") continue;
    const { host, hostname } = new URL(backend.baseUrl);
    const proxy = proxyFor(backend);
    if (proxy !== undefined) {
      findings.ok(`Backend "${backend.name}" is reached at "${host}" through the proxy "${new URL(proxy).host}"`);
    } else if (backend.proxy !== undefined) {
      findings.warn(
        `Backend "${backend.name}" does not use its proxy: "${hostname}" is on this machine or in a private network`,
        'Remove "proxy", or give a name that the proxy resolves as the host of "base_url"',
      );
    } else {
      findings.ok(`Backend "${backend.name}" is reached at "${host}" directly; the environment's proxies are not used`);
    }
  }
  return findings.list;
}
