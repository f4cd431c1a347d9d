/** The banner of a ready daemon: surfaces, addresses, and commands to try. */
import { basename, dirname, join } from "node:path";
import { bold } from "@std/fmt/colors";
import type { TcpAddress } from "@inferd/client/paths";
import { type SurfaceName, SURFACES } from "@inferd/client/protocol";
import type { DaemonOptions } from "../config/options.ts";
import { typed } from "../config/setting/typed_command.ts";
import { tcpText } from "../config/setting/value_types.ts";
import type { Daemon } from "../daemon/boot.ts";

type Capabilities = Daemon["capabilities"][number];

/** Commands to try, best first. */
const TRIALS: readonly (readonly [SurfaceName, string])[] = [
  ["v2", "chat"],
  ["infer", 'generate "Tell me a story about a fox."'],
  ["embed", 'embed "a text" "another text"'],
  ["rerank", 'rerank "a question" "a document" "another document"'],
];

export function bannerOf(
  options: Pick<DaemonOptions, "listen" | "http">,
  backends: readonly Capabilities[],
): string {
  const surfaces = (Object.keys(SURFACES) as SurfaceName[]).filter((name) => backends.some(SURFACES[name].serves));
  const rows: [string, string][] = [
    ...backends.map((backend): [string, string] => ["model", describe(backend)]),
    ...addresses(options, surfaces).map((address): [string, string] => ["listens", address]),
  ];
  if (options.http.enabled) rows.push(["http", httpText(options.http.address)]);
  const trial = TRIALS.find(([surface]) => surfaces.includes(surface))?.[1];
  if (trial !== undefined) rows.push(["try", typed(trial)]);
  return [
    "inferd is ready",
    ...rows.map(([name, value], index) => {
      const isRepeated = index > 0 && rows[index - 1]?.[0] === name;
      return `  ${bold((isRepeated ? "" : name).padEnd(8))} ${value}`;
    }),
  ].join("\n");
}

function describe({ model, backend, accelerator, n_ctx: context = 0, parallel = 0, state }: Capabilities): string {
  const facts = [
    ...accelerator === "none" ? [] : [accelerator.toUpperCase()],
    ...context > 0 ? [`context ${context} tokens`] : [],
    ...parallel > 0 ? [`${parallel} parallel`] : [],
    ...state === "asleep" ? ["loaded when it is needed"] : [],
  ];
  return `${model ?? backend}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`;
}

/** The sockets, grouped by folder, and the TCP addresses. */
function addresses({ listen }: Pick<DaemonOptions, "listen">, surfaces: readonly SurfaceName[]): string[] {
  const folders = Map.groupBy(surfaces.map((name) => listen[name].socket), dirname);
  const sockets = [...folders].map(([folder, paths]) =>
    paths.map((path, index) => index === 0 ? join(folder, basename(path)) : basename(path)).join(", ")
  );
  const ports = surfaces.flatMap((name) => {
    const { tcp } = listen[name];
    return tcp === undefined ? [] : [`${tcpText(tcp)} (${SURFACES[name].title})`];
  });
  return [...sockets, ...ports];
}

/** The bridge is another process, which says itself where it listens. */
function httpText(address: TcpAddress): string {
  return address.port === 0 ? `a free port of ${address.hostname}, in a line of its own` : `http://${tcpText(address)}`;
}
