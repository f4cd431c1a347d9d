/** A server that behaves like Hugging Face: a repository's list of files, and each file, also by ranges. */
export class Hub implements AsyncDisposable {
  readonly url: string;
  /** What was asked for. */
  readonly requests: Request[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /**
   * @param repository Its `owner/name`; there is no other.
   * @param sizes The sizes the list tells of its files, by name.
   * @param content What each file really holds.
   */
  constructor(repository: string, sizes: Readonly<Record<string, number>>, content: Uint8Array<ArrayBuffer>) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      this.requests.push(request);
      const { pathname } = new URL(request.url);
      if (pathname === `/api/models/${repository}/tree/main`) {
        return Response.json(Object.entries(sizes).map(([path, size]) => ({ type: "file", path, size })));
      }
      if (!pathname.startsWith(`/${repository}/resolve/main/`)) return new Response(null, { status: 404 });
      const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? [];
      if (from === undefined) return new Response(content, { headers: { "content-length": String(content.length) } });
      const end = Math.min(content.length, to ? Number(to) + 1 : content.length);
      return new Response(content.subarray(Number(from), end), {
        status: 206,
        headers: { "content-range": `bytes ${from}-${end - 1}/${content.length}` },
      });
    });
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
