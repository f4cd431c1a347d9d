/**
 * Tool names for OpenAI's API: at most 64 letters, digits, `_` and `-`. Other names are replaced by such a name and
 * translated back, because servers do not announce what they accept.
 */
import type { LongText } from "@inferd/client/protocol";
import { callsIn } from "../../inference/call_ids.ts";
import type { GenerationRequest } from "../../inference/request.ts";

const MAX_LENGTH = 64;
const REFUSED = /[^A-Za-z0-9_-]/g;

/** Names of a request's tools, offered or called earlier. */
export class RemoteNames {
  readonly #remote = new Map<string, string>();
  readonly #own = new Map<string, string>();

  /** @param request The same tools get the same names throughout a conversation. */
  constructor({ tools, messages }: Pick<GenerationRequest<LongText>, "tools" | "messages">) {
    const names = new Set([...tools, ...callsIn(messages)].map(({ name }) => name));
    // Valid names are kept, whichever comes first.
    const [kept, changed] = [[...names].filter(isTaken), [...names].filter((name) => !isTaken(name))];
    for (const name of kept) this.#add(name, name);
    for (const name of changed) this.#add(name, this.#freeNameFor(name));
  }

  toRemote(name: string): string {
    return this.#remote.get(name) ?? name;
  }

  /** The request's name for a name from the server; unknown names are returned unchanged. */
  toOwn(remote: string): string {
    return this.#own.get(remote) ?? remote;
  }

  #add(name: string, remote: string): void {
    this.#remote.set(name, remote);
    this.#own.set(remote, name);
  }

  #freeNameFor(name: string): string {
    const plain = name.replaceAll(REFUSED, "_");
    let remote = plain.slice(0, MAX_LENGTH);
    for (let number = 2; this.#own.has(remote); number++) {
      const end = `_${number}`;
      remote = plain.slice(0, MAX_LENGTH - end.length) + end;
    }
    return remote;
  }
}

function isTaken(name: string): boolean {
  return name.length <= MAX_LENGTH && name.search(REFUSED) === -1;
}
