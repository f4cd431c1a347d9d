/** The servers that are compared: the same model, threads, slots and context for both. */
import type { PeerEndpoint, StreamResult } from "./load_job.ts";
import { Inferd, LlamaServer, serveModel, type Server, type ServerOptions } from "./servers.ts";

/** The two columns of the table. */
export type Side = "peer" | "ours";

/** Results of both sides, one for each round. */
export type Results<R = StreamResult> = Readonly<Record<Side, R[]>>;

/** A server under test. */
export interface Contender {
  readonly side: Side;
  readonly server: Server;
}

/** Which servers there are to be. */
export interface ContenderOptions {
  /** Where llama-server is; absent: there is no peer. */
  readonly peerFolder?: string;
  /** How the peer is asked. */
  readonly endpoint: PeerEndpoint;
  /** Leave inferd out, to look at the peer alone. */
  readonly peerOnly: boolean;
}

/**
 * Start them.
 *
 * @param servers Ends them.
 * @param serverOptions What to serve, and how.
 * @param options Which.
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
 * Who goes first in a round. Whoever goes second may find a warmer or a hotter machine, so both do, in turns.
 *
 * @param contenders The servers.
 * @param round Counts from 0.
 * @returns The same in the order of that round.
 */
export function inTurns(contenders: readonly Contender[], round: number): readonly Contender[] {
  return round % 2 === 0 ? contenders : contenders.toReversed();
}
