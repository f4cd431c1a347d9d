/** What restricts an answer, as the sampler sees it. */
import type { Work } from "../work/work.ts";

/** Which tokens are allowed next. */
export interface Allowed {
  /** `undefined`: too costly to decide for one token; compute the mask first. */
  allows(token: number): boolean | undefined;
  /** The token mask, read-only; `undefined`: not computed yet. */
  allowed?(): Uint32Array | undefined;
  /** Compute the mask; absent: tokens can only be checked individually. */
  readonly find?: (() => Work<void>) | undefined;
}

/** A continuation that the grammar forces. */
export interface Forced {
  /** Texts and named tokens, in order; adjacent texts are merged. */
  readonly parts: readonly (string | number)[];
  /** Nothing can follow but the end. */
  readonly complete: boolean;
}

/** A grammar that restricts an answer token by token. */
export interface Constraint extends Allowed {
  /** Advance by a token that `allows` accepted. */
  accept(token: number): void;
  /** Whether a text is allowed that ends within a token. */
  allowsText?(text: string): boolean;
  /** Advance by a text that `allowsText` accepted. */
  acceptText?(text: string): void;
  /** Nothing can follow but the end. */
  readonly complete: boolean;
  /** The forced continuation; `undefined` if there is a choice. */
  forced?(): Forced | undefined;
}
