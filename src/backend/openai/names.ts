/**
 * Names of tools as OpenAI's API takes them: at most 64 letters, digits, `_` and `-`. Other names are sent under a name
 * of that kind and come back under their own, because no server says beforehand whether it takes them.
 */
import type { GenerationRequest } from "../../inference/request.ts";

const MAX_LENGTH = 64;
const REFUSED = /[^A-Za-z0-9_-]/g;

/** The names of one request's tools, offered or called earlier. */
export class RemoteNames {
  readonly #remote = new Map<string, string>();
  readonly #own = new Map<string, string>();

  /** @param request Gives the same names again for the same tools, whatever the conversation has become. */
  constructor({ tools, messages }: Pick<GenerationRequest, "tools" | "messages">) {
    const names = new Set(tools.map(({ name }) => name));
    for (const { content } of messages) {
      if (typeof content === "string") continue;
      for (const block of content) if (block.type === "tool_use") names.add(block.name);
    }
    // Those that every server takes keep their names, whichever comes first.
    const [kept, changed] = [[...names].filter(isTaken), [...names].filter((name) => !isTaken(name))];
    for (const name of kept) this.#add(name, name);
    for (const name of changed) this.#add(name, this.#freeNameFor(name));
  }

  /** The name that is sent to the server. */
  toRemote(name: string): string {
    return this.#remote.get(name) ?? name;
  }

  /** The request's name for the server's name; a name that was not sent is kept. */
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
