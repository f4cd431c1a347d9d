/**
 * The numbers both sides of the wire agree on.
 *
 * @module
 */

/** The largest frame, in bytes; the newline is not counted. */
export const MAX_FRAME_BYTES: number = 64 * 1024 * 1024;

/** How long a TCP client has to send its authentication line, in milliseconds. */
export const AUTH_TIMEOUT_MS: number = 5_000;

/** The largest `grammar`, in bytes of UTF-8. */
export const MAX_GRAMMAR_BYTES: number = 64 * 1024;

/** The most alternatives (`|`) a `grammar` may have. */
export const MAX_GRAMMAR_ALTERNATIVES: number = 4096;

/** The most stop strings a request may carry. */
export const MAX_STOP_STRINGS: number = 16;

/** The values `image_token_budget` may take. */
export const IMAGE_TOKEN_BUDGETS: readonly number[] = [70, 140, 280, 560, 1120];

/** How many events an admin reader may fall behind before it is disconnected. */
export const ADMIN_BACKLOG_EVENTS: number = 256;
