/** What the tests of the configuration share: a machine, and a file on it. */
import { parseConfigFile } from "../../../src/config/file.ts";
import type { LoadedConfig } from "../../../src/config/load.ts";

export const MACHINE = {
  env: (name: string): string | undefined => ({ HOME: "/h" })[name],
  uid: 1000,
  platform: "linux",
  memoryBytes: 8e9,
};

/** A configuration file in `/etc/inferd` as it is loaded. */
export function loaded(value: unknown): LoadedConfig {
  const content = parseConfigFile(JSON.stringify(value), "c.json");
  return { path: "/etc/inferd/c.json", content, place: (path) => path.startsWith("/") ? path : `/etc/inferd/${path}` };
}
