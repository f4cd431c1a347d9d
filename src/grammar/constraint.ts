/** What binds an answer, as whoever chooses its tokens sees it. */
import type { Work } from "../work/work.ts";

/** Says which tokens may come next. */
export interface Allowed {
  /** `undefined`: that takes too long to say before all that may come next have been found. */
  allows(token: number): boolean | undefined;
  /** All of them, a bit for each; `undefined`: they have to be found first. Not to be changed. */
  allowed?(): Uint32Array | undefined;
  /** Find all of them; absent: they can only be asked for one by one. */
  readonly find?: (() => Work<void>) | undefined;
}

/** What has to come next, because the grammar allows nothing else. */
export interface Forced {
  /** Texts, and tokens that the grammar names, in order; neighbouring texts are one. */
  readonly parts: readonly (string | number)[];
  /** Nothing can follow but the end. */
  readonly complete: boolean;
}

/** Says what a grammar allows, token by token. */
export interface Constraint extends Allowed {
  /** The token was chosen; `allows` said yes to it. */
  accept(token: number): void;
  /** Whether it allows a text that ends within a token. */
  allowsText?(text: string): boolean;
  /** The text came; `allowsText` said yes to it. */
  acceptText?(text: string): void;
  /** Nothing can follow but the end. */
  readonly complete: boolean;
  /** What has to come next; `undefined` where there is a choice. */
  forced?(): Forced | undefined;
}
