/** Shared by commands that make one request: connecting, and mapping errors to exit codes. */
import { type Client, DaemonError, InferdError } from "@inferd/client";
import { mustServe, reach, type Target } from "./reach.ts";
import { complain } from "./terminal/output.ts";

export const REQUEST_EXITS: readonly string[] = [
  "0 answered",
  "1 the daemon answered with an error",
  "2 unreachable, no such model, or bad flags",
];

/**
 * Connect, make a request and report errors.
 *
 * @param where The daemon's addresses, and the model that is asked for.
 * @throws {UnreachableError} If there is no daemon.
 * @throws {UsageError} If it does not have the model.
 */
export async function runRequest(
  { model, ...where }: Target & { readonly model: string | undefined },
  request: (client: Client) => Promise<void>,
): Promise<number> {
  await using client = await reach(where, (line) => complain(line));
  if (model !== undefined) await mustServe(client, model, where.infer.surface ?? "infer");
  try {
    await request(client);
    return 0;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0; // The reader closed the pipe.
    if (!(error instanceof InferdError)) throw error;
    complain(`inferd: ${describe(error)}`);
    return 1;
  }
}

/** @returns Its code, if any, and its message. */
export function describe(error: InferdError): string {
  // Replace wire names by the names of flags.
  const message = error.message.replaceAll("response_format.schema", "schema");
  return error instanceof DaemonError ? `${error.code}: ${message}` : message;
}
