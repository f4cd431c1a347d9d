/** What the sampler asks of a grammar. */

/** Says what a grammar allows, token by token. */
export interface Constraint {
  allows(token: number): boolean;
  /** All tokens it allows, a bit for each; `undefined` or absent: `allows` has to be asked. Not to be changed. */
  allowed?(): Uint32Array | undefined;
  /** The token was chosen; `allows` said yes to it. */
  accept(token: number): void;
  /** Whether it allows a text that ends within a token. */
  allowsText?(text: string): boolean;
  /** The text came; `allowsText` said yes to it. */
  acceptText?(text: string): void;
  /** Nothing can follow but the end. */
  readonly complete: boolean;
}
