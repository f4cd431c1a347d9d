/** Settings of surfaces, derived from the table of surfaces: socket paths and TCP addresses. */
import { join } from "node:path";
import { DEFAULT_TCP_HOSTNAME, type TcpAddress } from "@inferd/client/paths";
import type { SocketTable, SurfaceTable } from "@inferd/client/protocol";
import type { Places, Setting } from "./setting.ts";
import { path, tcpAddress } from "./value_types.ts";

type CamelCase<Text extends string> = Text extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Text;

type SocketSetting = Setting<string> & { readonly default: (places: Places) => string };

/** One setting per socket, named after its flag. */
type SocketSettings<Table extends SocketTable> = {
  readonly [Name in keyof Table as CamelCase<Table[Name]["flag"]>]: SocketSetting;
};

/** One setting per TCP endpoint, named after its flag. */
type TcpSettings<Table extends SurfaceTable> = {
  readonly [Name in keyof Table as CamelCase<Table[Name]["tcp"]["flag"]>]: Setting<TcpAddress>;
};

export function settingName<Flag extends string>(flag: Flag): CamelCase<Flag> {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as CamelCase<Flag>;
}

function fileKey(flag: string): string {
  return flag.replaceAll("-", "_");
}

/** Settings of surfaces with a unix socket and a TCP port. Other sockets default to the folder of the first. */
export function surfaceSettings<const Table extends SurfaceTable>(
  table: Table,
): SocketSettings<Table> & TcpSettings<Table> {
  const rows = Object.values(table).flatMap(({ title, socket, flag, variable, tcp }, index) => {
    const isFirst = index === 0;
    const bare = `${DEFAULT_TCP_HOSTNAME}:${tcp.port}`;
    const unix: SocketSetting = {
      names: { key: `listen.${fileKey(flag)}`, flag, env: variable },
      type: path(),
      default: ({ runtimeDir, socketDir }) => join(isFirst ? runtimeDir : socketDir, `${socket}.sock`),
      otherwise: `${socket}.sock ${isFirst ? "in the runtime directory" : "next to infer.sock"}`,
      help: `${title} socket`,
      client: true,
    };
    const overTcp: Setting<TcpAddress> = {
      names: { key: `listen.${fileKey(tcp.flag)}`, flag: tcp.flag, env: tcp.variable },
      type: tcpAddress(tcp.port),
      otherwise: "off",
      bare,
      help: `${title} over TCP, too`,
      client: true,
    };
    return [[settingName(flag), unix], [settingName(tcp.flag), overTcp]];
  });
  return Object.fromEntries(rows);
}

/** Settings of surfaces with only a unix socket. */
export function unixSettings<const Table extends SocketTable>(table: Table): SocketSettings<Table> {
  const rows = Object.entries(table).map(([name, { title, socket, flag, variable }]): [string, SocketSetting] => [
    settingName(flag),
    {
      // The admin socket serves no requests, so it is not under `listen`.
      names: { key: name === "admin" ? fileKey(flag) : `listen.${fileKey(flag)}`, flag, env: variable },
      type: path(),
      default: ({ runtimeDir }) => join(runtimeDir, `${socket}.sock`),
      otherwise: `${socket}.sock in the runtime directory`,
      help: `${title} socket`,
      client: true,
    },
  ]);
  return Object.fromEntries(rows) as SocketSettings<Table>;
}
