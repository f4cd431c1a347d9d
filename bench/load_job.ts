/** Messages between benchmark and load generator, one JSON object per line. */

/** Address and protocol of a server. */
export type Target =
  | { readonly protocol: "inferd" | "inferd-v2"; readonly path: string }
  | { readonly protocol: "inferd-http"; readonly port: number }
  | {
    readonly protocol: "llama-server";
    readonly port: number;
    /** Accepts messages, as inferd does, or a prompt already rendered with the chat template. */
    readonly endpoint: PeerEndpoint;
    /** The rendered chat template before and after the prompt; for `completion`. */
    readonly before: string;
    readonly after: string;
  };

/** llama-server's endpoints for text: `/v1/chat/completions` and `/completion`. */
export type PeerEndpoint = "chat" | "completion";

/** Sampling parameters. */
export interface LoadSampling {
  /** 0 means greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
}

/** Clients that stream answers one after another, each on its own connection. */
export interface StreamJob {
  readonly kind: "stream";
  readonly target: Target;
  /** Prompts of each client. */
  readonly prompts: readonly (readonly string[])[];
  readonly maxTokens: number;
  readonly sampling: LoadSampling;
  /** GBNF grammar for the answers; inferd's v1 only. */
  readonly grammar?: string;
  /** JSON Schema for the answers; inferd's v2 and llama-server's chat endpoint only. */
  readonly schema?: Readonly<Record<string, unknown>>;
}

/** A prompt sent while another answer streams. */
export interface BesideJob {
  readonly kind: "beside";
  readonly target: Target;
  /** Prompt of the streaming answer, which must last until the other prompt is answered and is then cancelled. */
  readonly stream: string;
  readonly streamTokens: number;
  /** The prompt sent once the stream has some tokens. */
  readonly prompt: string;
  readonly maxTokens: number;
  readonly sampling: LoadSampling;
}

/** Sequential requests while another answer streams. */
export interface NeighbourJob {
  readonly kind: "neighbour";
  readonly target: Target;
  /** Prompt of the streaming answer, which must last until the others are answered and is then cancelled. */
  readonly stream: string;
  readonly streamTokens: number;
  readonly sampling: LoadSampling;
  /** How long it streams alone before and after. */
  readonly aloneMs: number;
  /** The requests, as lines or as bodies for chat completions, and where they go. */
  readonly to: { readonly path: string } | { readonly port: number };
  readonly lines: readonly string[];
  /** Minimum interval between requests, so that the cost of a single one is measured. */
  readonly apartMs: number;
  /** Time limit: then no further request is sent and the running one is cancelled. */
  readonly mostMs: number;
}

/** A client that is refused repeatedly. */
export interface RefusalJob {
  readonly kind: "refusal";
  readonly path: string;
  readonly count: number;
  /** Pause after each refusal. */
  readonly gapMs: number;
}

/** A job. */
export type LoadJob = StreamJob | BesideJob | NeighbourJob | RefusalJob;

/** The end of an answer as reported by the server. */
export interface Ending {
  /** Generated tokens, without the end-of-generation token. */
  readonly tokens: number;
  readonly promptTokens: number;
}

/** An answer as seen by the client. */
export interface Answer extends Ending {
  /** From the request to the first text. */
  readonly firstMs: number;
  readonly totalMs: number;
  /** Pieces of text received. */
  readonly pieces: number;
}

/** Result of a {@linkcode StreamJob}. */
export interface StreamResult {
  /** From the first request to the end of the last answer. */
  readonly wallMs: number;
  readonly answers: readonly Answer[];
}

/** Result of a {@linkcode BesideJob}. */
export interface BesideResult {
  /** Time to first token of the later prompt. */
  readonly firstMs: number;
  readonly promptTokens: number;
  /** The stream's longest gap from sending that prompt until its first token. */
  readonly longestGapMs: number;
  readonly streamTokensPerSec: number;
}

/** Result of a {@linkcode NeighbourJob}. */
export interface NeighbourResult {
  /** Throughput of the stream, alone and next to the others. */
  readonly aloneTokensPerSec: number;
  readonly besideTokensPerSec: number;
  readonly longestGapMs: number;
  /** How each of the others ended: `done`, `error CODE`, or `cancelled`. */
  readonly endings: readonly string[];
}

/** Result of a {@linkcode RefusalJob}. */
export interface RefusalResult {
  /** Time from each request to its refusal. */
  readonly latenciesMs: readonly number[];
}

/** A reply of the load generator. */
export type LoadReply =
  | { readonly result: StreamResult | BesideResult | NeighbourResult | RefusalResult }
  | { readonly failed: string };
