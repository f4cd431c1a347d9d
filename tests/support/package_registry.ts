/** An npm registry that has one package: what it says of it, and an archive that comes as a script says. */
import { LIBRARY_VERSION } from "../../src/libraries/library_files.ts";
import type { Registry } from "../../src/libraries/registry.ts";
import { type Answer, ModelServer } from "./model_server.ts";

/** What it does otherwise than right. */
export interface RegistryScript {
  /** To the requests for the archive; all further ones are answered right. Without an ETag, as many mirrors are. */
  readonly archive?: readonly Answer[];
  /** Answers a request for what is known of the package; absent, or nothing: it is right. */
  readonly metadata?: (request: Request, right: Record<string, unknown>) => Response | Promise<Response> | undefined;
}

/** The registry. */
export class PackageRegistry implements AsyncDisposable {
  readonly url: string;
  readonly archive: ModelServer;
  /** The paths that were asked for, and with which key. */
  readonly asked: { readonly path: string; readonly authorization: string | null }[] = [];
  readonly #server: Deno.HttpServer;

  private constructor(archive: ModelServer, script: RegistryScript, sha512: string) {
    this.archive = archive;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const { pathname } = new URL(request.url);
      this.asked.push({ path: pathname, authorization: request.headers.get("authorization") });
      const dist = { tarball: archive.url, integrity: `sha512-${sha512}` };
      const right = { versions: { "1.0.0": {}, [LIBRARY_VERSION]: { dist } } };
      return await script.metadata?.(request, right) ?? Response.json(right);
    });
    this.url = `http://127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}/`;
  }

  /**
   * Start one.
   *
   * @param archive The package.
   * @param sha512 What it says that the archive hashes to, in base64.
   * @param script What it does otherwise than right.
   */
  static start(archive: Uint8Array<ArrayBuffer>, sha512: string, script: RegistryScript = {}): PackageRegistry {
    const [first = {}, ...others] = script.archive ?? [];
    return new PackageRegistry(new ModelServer(archive, [{ etag: null, ...first }, ...others]), script, sha512);
  }

  /** As the configuration of npm names it. */
  get registry(): Registry {
    return { url: new URL(this.url) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.archive[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }
}
