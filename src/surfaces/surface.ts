/** A surface, as the server sees it: a name, and the function that turns what a client sent into a request. */
import type { Service } from "../inference/backend.ts";
import type { ResolvedRequest } from "../pipeline/resolve.ts";

/** One protocol of the daemon. Everything else (sockets, framing, admission, routing, logging) is shared. */
export interface Surface {
  /** Its name in the log. */
  readonly name: string;
  /** What it asks of a backend. */
  readonly service: Service;
  /**
   * Turn a parsed line into a request, with defaults and limits applied.
   *
   * @throws {InvalidRequestError} If it breaks a rule.
   */
  read(value: unknown): ResolvedRequest;
}
