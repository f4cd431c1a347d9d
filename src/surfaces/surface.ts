/** A surface as seen by the server: a name, and the function that parses a client's request. */
import type { Service } from "../inference/backend.ts";
import type { ResolvedRequest } from "../pipeline/resolve.ts";

/** One protocol of the daemon. Everything else (sockets, framing, admission, routing, logging) is shared. */
export interface Surface {
  /** Its name in the log. */
  readonly name: string;
  readonly service: Service;
  /**
   * Turn a parsed line into a request, with defaults and limits applied.
   *
   * @throws {InvalidRequestError} If it is invalid.
   */
  read(value: unknown): ResolvedRequest;
  /**
   * Do beforehand what takes long for a long line, while others are served. Refuses nothing.
   *
   * @param rest Awaited after pieces of the work, with the milliseconds that each took.
   */
  prepare?(value: unknown, rest: (workedMs: number) => Promise<void>): Promise<void>;
}
