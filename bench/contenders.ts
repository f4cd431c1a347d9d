/** The servers under comparison, with the same model, threads, slots and context. */
import type { PeerEndpoint, StreamResult } from "./load_job.ts";
import { Inferd, LlamaServer, serveModel, type Server, type ServerOptions } from "./servers.ts";

/** The two columns of the table. */
export type Side = "peer" | "ours";

/** Results of both sides, one per round. */
export type Results<R = StreamResult> = Readonly<Record<Side, R[]>>;

/** A server under test. */
export interface Contender {
  readonly side: Side;
  readonly server: Server;
}

/** Which servers to start. */
export interface ContenderOptions {
  /** Folder of llama-server; undefined: no peer. */
  readonly peerFolder?: string;
  /** Endpoint used for the peer. */
  readonly endpoint: PeerEndpoint;
  /** Measure only the peer. */
  readonly peerOnly: boolean;
}

/**
 * Start the servers.
 *
 * @param servers Stops them.
 * @param serverOptions The served model and its settings.
 * @param options Which servers to start.
 * @returns The servers, the peer first.
 */
export async function startContenders(
  servers: AsyncDisposableStack,
  serverOptions: ServerOptions,
  { peerFolder, endpoint, peerOnly }: ContenderOptions,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  if (peerFolder !== undefined) {
    const server = servers.use(await LlamaServer.start(peerFolder, serverOptions, endpoint));
    contenders.push({ side: "peer", server });
  }
  if (!peerOnly) contenders.push({ side: "ours", server: servers.use(await Inferd.start(serveModel(serverOptions))) });
  return contenders;
}

/**
 * Order of the servers in a round. The second one may find a warmer or a hotter machine, so they alternate.
 *
 * @param contenders The servers.
 * @param round The round, from 0.
 * @returns The servers in the order of that round.
 */
export function inTurns(contenders: readonly Contender[], round: number): readonly Contender[] {
  return round % 2 === 0 ? contenders : contenders.toReversed();
}
