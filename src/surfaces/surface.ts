/** What a surface is to the server: a name, and the rules that turn what a client sent into a request. */
import type { Service } from "../inference/backend.ts";
import type { ResolvedRequest } from "../pipeline/resolve.ts";

/** One way of speaking with the daemon. All else (sockets, framing, admission, routing, logging) is shared. */
export interface Surface {
  /** As the log names it. */
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
