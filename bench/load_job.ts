/**
 * What the benchmark and its load generator say to each other, one JSON object a line.
 */

/** Where to send requests, and in which language. */
export type Target =
  | { readonly protocol: "inferd" | "inferd-v2"; readonly path: string }
  | { readonly protocol: "inferd-http"; readonly port: number }
  | {
    readonly protocol: "llama-server";
    readonly port: number;
    /** Takes messages, as inferd does, or a prompt with the chat template already rendered around it. */
    readonly endpoint: PeerEndpoint;
    /** The chat template, rendered, before and after the prompt; for `completion`. */
    readonly before: string;
    readonly after: string;
  };

/** The two ways to ask llama-server for text: `/v1/chat/completions` and `/completion`. */
export type PeerEndpoint = "chat" | "completion";

/** How tokens are chosen. */
export interface LoadSampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
}

/** Clients that stream one answer after another, each on its own connection. */
export interface StreamJob {
  readonly kind: "stream";
  readonly target: Target;
  /** For each client the prompts it sends. */
  readonly prompts: readonly (readonly string[])[];
  readonly maxTokens: number;
  readonly sampling: LoadSampling;
  /** GBNF the answers follow; inferd's v1 only. */
  readonly grammar?: string;
  /** JSON Schema the answers follow; inferd's v2 and llama-server's chat endpoint only. */
  readonly schema?: Readonly<Record<string, unknown>>;
}

/** A prompt that comes while another answer streams. */
export interface BesideJob {
  readonly kind: "beside";
  readonly target: Target;
  /** Prompt of the answer that streams. It has to last until the other prompt has its answer, and is cancelled then. */
  readonly stream: string;
  readonly streamTokens: number;
  /** The prompt that comes once the stream has some tokens. */
  readonly prompt: string;
  readonly maxTokens: number;
  readonly sampling: LoadSampling;
}

/** Requests one after the other while another answer streams. */
export interface NeighbourJob {
  readonly kind: "neighbour";
  readonly target: Target;
  /** Prompt of the answer that streams. It has to last until the others are answered, and is cancelled then. */
  readonly stream: string;
  readonly streamTokens: number;
  readonly sampling: LoadSampling;
  /** How long it streams alone before. */
  readonly aloneMs: number;
  /** The requests, a line each, and the socket they go to. */
  readonly path: string;
  readonly lines: readonly string[];
  /** From one request to the next, at least: what a single one costs is to be measured. */
  readonly apartMs: number;
  /** After so long no further request is sent, and the one that is sent is cancelled. */
  readonly mostMs: number;
}

/** One client that is refused, time and again. */
export interface RefusalJob {
  readonly kind: "refusal";
  readonly path: string;
  readonly count: number;
  /** Pause after each answer. */
  readonly gapMs: number;
}

/** What the load generator can be told. */
export type LoadJob = StreamJob | BesideJob | NeighbourJob | RefusalJob;

/** The end of an answer, as its server tells it. */
export interface Ending {
  /** Tokens generated, without the one that ends an answer. */
  readonly tokens: number;
  readonly promptTokens: number;
}

/** One answer, seen from the client. */
export interface Answer extends Ending {
  /** From the request to the first text. */
  readonly firstMs: number;
  readonly totalMs: number;
  /** Pieces of text that arrived. */
  readonly pieces: number;
}

/** What came of a {@linkcode StreamJob}. */
export interface StreamResult {
  /** From the first request to the end of the last answer. */
  readonly wallMs: number;
  readonly answers: readonly Answer[];
}

/** What came of a {@linkcode BesideJob}. */
export interface BesideResult {
  /** Of the prompt that came later. */
  readonly firstMs: number;
  readonly promptTokens: number;
  /** The stream, from the moment that prompt was sent until its first token. */
  readonly longestGapMs: number;
  readonly streamTokensPerSec: number;
}

/** What came of a {@linkcode NeighbourJob}. */
export interface NeighbourResult {
  /** The stream, alone and beside the others. */
  readonly aloneTokensPerSec: number;
  readonly besideTokensPerSec: number;
  readonly longestGapMs: number;
  /** How each of the others ended: `done`, `error CODE`, or `cancelled`. */
  readonly endings: readonly string[];
}

/** What came of a {@linkcode RefusalJob}. */
export interface RefusalResult {
  /** From request to refusal, each. */
  readonly latenciesMs: readonly number[];
}

/** What the load generator answers. */
export type LoadReply =
  | { readonly result: StreamResult | BesideResult | NeighbourResult | RefusalResult }
  | { readonly failed: string };
