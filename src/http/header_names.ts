/** Header names as they are usually written, also by llama-server: some programs compare them as they come. */
import type { ServerResponse } from "node:http";

const names = new Map<string, string>();

/** `content-type` as `Content-Type`. */
function usualName(name: string): string {
  let usual = names.get(name);
  if (usual === undefined) {
    usual = name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
    names.set(name, usual);
  }
  return usual;
}

/** A response that writes its headers under these names. The web's `Headers` have lower-case ones. */
export function withUsualNames<Response extends ServerResponse>(response: Response): Response {
  const write = response.writeHead.bind(response);
  const renamed = (status: number, headers: Readonly<Record<string, string | string[]>> = {}): Response =>
    write(status, Object.fromEntries(Object.entries(headers).map(([name, value]) => [usualName(name), value])));
  return Object.assign(response, { writeHead: renamed });
}
