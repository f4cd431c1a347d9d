/**
 * Narrows candidates as for filling in text, where a short certain text serves better than a long probable one: only
 * tokens that the model is sure of are left, and where there is none, the token that ends the answer.
 */
import { candidateToken, candidateWeight, sortLargest } from "./candidates.ts";

/** What is known of the tokens. */
export interface InfillVocabulary {
  endsAnswer(token: number): boolean;
  /** The bytes of its text. */
  piece(token: number): Uint8Array;
  /** The token that ends an answer for want of a sure one. */
  readonly end: number;
}

/** The likeliest candidates that are compared with each other; a sure token is never behind them. */
const MOST_COMPARED = 128;
/** An answer ends where ending is this many times likelier than the mean text. */
const END_FACTOR = 3;
/** Share that a token needs, after those that begin alike were counted as one. */
const SURE = 0.2;

/**
 * Narrow the candidates, whose weights are logits.
 *
 * @returns How many are left, at least one; those that are not first.
 */
export function keepSure(all: number, vocabulary: InfillVocabulary): number {
  const count = sortLargest(all, Math.min(all, MOST_COMPARED));
  const shares = sharesOf(count);
  const ends = Array.from({ length: count }, (_, at) => vocabulary.endsAnswer(candidateToken[at] as number));
  const ending = shares.reduce((sum, share, at) => ends[at] ? sum + share : sum, 0);
  if (END_FACTOR * ending * count > 1 - ending) return keep(count, (at) => ends[at] as boolean);
  join(shares, (at) => ends[at] ? undefined : vocabulary.piece(candidateToken[at] as number));
  const isSure = (at: number): boolean => (shares[at] as number) >= SURE;
  const sure = shares.filter((_, at) => !ends[at] && isSure(at));
  if (sure.length === 0) {
    candidateToken[0] = vocabulary.end;
    candidateWeight[0] = 0;
    return 1;
  }
  const mass = sure.reduce((sum, share) => sum + share, ending);
  const least = mass / (sure.length + 1);
  return keep(count, (at) => ends[at] as boolean || isSure(at) && (shares[at] as number) >= least);
}

/** Shares of the candidates, in descending order. */
function sharesOf(count: number): number[] {
  const top = candidateWeight[0] as number;
  const weights = Array.from({ length: count }, (_, at) => Math.exp((candidateWeight[at] as number) - top));
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / mass);
}

/** Of two tokens of which one begins the other, the likelier one gets the share of both. */
function join(shares: number[], pieceOf: (at: number) => Uint8Array | undefined): void {
  const pieces = shares.map((_, at) => pieceOf(at));
  for (const [at, piece] of pieces.entries()) {
    for (let other = 0; other < pieces.length && shares[at] !== 0; other++) {
      if (other === at || shares[other] === 0 || !begins(pieces[other], piece)) continue;
      const [to, from] = (shares[other] as number) > (shares[at] as number) ? [other, at] : [at, other];
      shares[to] = (shares[to] as number) + (shares[from] as number);
      shares[from] = 0;
    }
  }
}

function begins(whole: Uint8Array | undefined, start: Uint8Array | undefined): boolean {
  if (whole === undefined || start === undefined || start.length === 0 || start.length > whole.length) return false;
  return start.every((byte, at) => byte === whole[at]);
}

function keep(count: number, isKept: (at: number) => boolean): number {
  let kept = 0;
  for (let at = 0; at < count; at++) {
    if (!isKept(at)) continue;
    candidateToken[kept] = candidateToken[at] as number;
    candidateWeight[kept++] = candidateWeight[at] as number;
  }
  return kept;
}
