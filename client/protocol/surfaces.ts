/**
 * The surfaces of a daemon: name, location, and the flags and variables that change it. Daemon, client and command line
 * derive theirs from here.
 *
 * @module
 */

/** A unix socket of a daemon. */
export interface SocketRow {
  /** What help and messages call it. */
  readonly title: string;
  /** The socket's file, without `.sock`. */
  readonly socket: string;
  /** The flag that says where the socket is, without dashes. */
  readonly flag: string;
  /** The environment variable that says where the socket is. */
  readonly variable: string;
}

/** What decides which surfaces a backend serves. */
export interface Abilities {
  /** It answers generation v2. */
  readonly v2: boolean;
  /** It embeds texts. */
  readonly embed: boolean;
  /** It ranks documents; older daemons do not say. */
  readonly rerank?: boolean;
}

/** A surface for inference: a unix socket and, where it is asked for, a TCP port. */
export interface SurfaceRow extends SocketRow {
  /** What a backend must be able to do. */
  readonly service: string;
  /** Whether a backend with these capabilities can. */
  readonly serves: (backend: Abilities) => boolean;
  /** Where it is on TCP. */
  readonly tcp: {
    /** The port when none is named. */
    readonly port: number;
    /** The flag that turns TCP on, without dashes. */
    readonly flag: string;
    /** The environment variable that turns TCP on. */
    readonly variable: string;
  };
}

/** The surfaces for inference. The first one's socket decides in which folder the others are. */
export const SURFACES = {
  infer: {
    title: "generation",
    service: "v1",
    serves: ({ v2, embed, rerank }: Abilities): boolean => v2 || !(embed || rerank),
    socket: "infer",
    flag: "uds",
    variable: "INFERD_UDS",
    tcp: { port: 47321, flag: "tcp", variable: "INFERD_TCP" },
  },
  v2: {
    title: "generation v2",
    service: "v2",
    serves: ({ v2 }: Abilities): boolean => v2,
    socket: "infer.v2",
    flag: "v2-addr",
    variable: "INFERD_V2_ADDR",
    tcp: { port: 47322, flag: "v2-tcp", variable: "INFERD_V2_TCP" },
  },
  embed: {
    title: "embeddings",
    service: "embed",
    serves: ({ embed }: Abilities): boolean => embed,
    socket: "infer.embed",
    flag: "embed-addr",
    variable: "INFERD_EMBED_ADDR",
    tcp: { port: 47323, flag: "embed-tcp", variable: "INFERD_EMBED_TCP" },
  },
  rerank: {
    title: "rerank",
    service: "rerank",
    serves: ({ rerank = false }: Abilities): boolean => rerank,
    socket: "infer.rerank",
    flag: "rerank-addr",
    variable: "INFERD_RERANK_ADDR",
    tcp: { port: 47324, flag: "rerank-tcp", variable: "INFERD_RERANK_TCP" },
  },
} as const;

/** The environment variable with the key that TCP clients present. */
export const API_KEY_VARIABLE = "INFERD_API_KEY";

/** The surfaces that have a unix socket and nothing else. */
export const UNIX_SURFACES = {
  dispatch: { title: "dispatch", socket: "rpc", flag: "rpc-addr", variable: "INFERD_RPC_ADDR" },
  admin: { title: "admin", socket: "admin", flag: "admin-addr", variable: "INFERD_ADMIN_ADDR" },
} as const;

/**
 * What a daemon can be asked for: generation v1 (`infer`) and v2, embeddings, rerank. Each has its own socket.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { type Client, connect, type SurfaceName } from "@inferd/client";
 *
 * export async function forSearch(surface: SurfaceName = "embed"): Promise<Client> {
 *   return await connect({ surface });
 * }
 * ```
 */
export type SurfaceName = keyof typeof SURFACES;

/** What a backend may be able to do; each surface for inference asks for one of these. */
export type Service = (typeof SURFACES)[SurfaceName]["service"];

/**
 * The sockets a daemon has, by name.
 *
 * @category Places
 *
 * @example
 * ```ts
 * import { type SocketName, socketPath } from "@inferd/client/paths";
 *
 * const names: readonly SocketName[] = ["infer", "admin"];
 * console.assert(names.map((name) => socketPath("/run", name)).join() === "/run/infer.sock,/run/admin.sock");
 * ```
 */
export type SocketName =
  | (typeof SURFACES)[SurfaceName]["socket"]
  | (typeof UNIX_SURFACES)[keyof typeof UNIX_SURFACES]["socket"];

/** Every service. */
export const SERVICES: readonly Service[] = Object.values(SURFACES).map(({ service }) => service);

/** A table of surfaces for inference, as derivations take it. */
export type SurfaceTable = Readonly<Record<string, SurfaceRow>>;

/** A table of unix sockets, as derivations take it. */
export type SocketTable = Readonly<Record<string, SocketRow>>;
