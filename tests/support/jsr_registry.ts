/**
 * A registry of JSR's kind on loopback: takes what `deno publish` uploads, and serves it and packages from folders. What
 * JSR itself does with an upload beside keeping it (its own checks, its npm form) is not here.
 */
import { createHash } from "node:crypto";
import { join, relative } from "@std/path";

/** A package's files, by path from its root: `/mod.ts`. */
export type PackageFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

interface Version {
  readonly exports: unknown;
  readonly files: PackageFiles;
}

interface PackageConfig {
  readonly name: string;
  readonly version: string;
  readonly exports: unknown;
}

/** The registry. Everything in it has one version. */
export class JsrRegistry implements AsyncDisposable {
  /** `name@version` of each upload, in order. */
  readonly uploads: string[] = [];
  readonly url: string;
  readonly #versions = new Map<string, Map<string, Version>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** Has a package, from a folder with its `deno.json`. */
  addFolder(folder: string): void {
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    const add = (at: string): void => {
      for (const { name, isDirectory } of Deno.readDirSync(at)) {
        if (isDirectory) add(join(at, name));
        else files.set(`/${relative(folder, join(at, name))}`, Deno.readFileSync(join(at, name)));
      }
    };
    add(folder);
    this.#add(files);
  }

  /** The files of a package's one version. */
  files(name: string): PackageFiles {
    const [version] = this.#versions.get(name)?.values() ?? [];
    if (version === undefined) throw new Error(`There is no package "${name}"`);
    return version.files;
  }

  #add(files: PackageFiles): PackageConfig {
    const config: PackageConfig = JSON.parse(new TextDecoder().decode(files.get("/deno.json")));
    const exported = typeof config.exports === "string" ? { ".": config.exports } : config.exports;
    this.#versions.set(config.name, new Map([[config.version, { exports: exported, files }]]));
    return config;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/api/")) return await this.#api(request, pathname.slice("/api".length));
    const [, name = "", rest = ""] = /^\/(@[^/]+\/[^/]+)\/(.+)$/.exec(pathname) ?? [];
    const versions = this.#versions.get(name);
    if (versions === undefined) return new Response(null, { status: 404 });
    if (rest === "meta.json") {
      const [latest] = versions.keys();
      const listed = Object.fromEntries([...versions.keys()].map((version) => [version, {}]));
      return Response.json({ name, latest, versions: listed });
    }
    const meta = versions.get(rest.replace(/_meta\.json$/, ""));
    if (meta !== undefined) return Response.json({ exports: meta.exports, manifest: manifestOf(meta.files) });
    const [, number = "", path = ""] = /^([^/]+)(\/.+)$/.exec(rest) ?? [];
    const bytes = versions.get(number)?.files.get(path);
    if (bytes === undefined) return new Response(null, { status: 404 });
    return new Response(bytes, { headers: { "content-type": contentType(path) } });
  }

  async #api(request: Request, path: string): Promise<Response> {
    const task = { id: "0", status: "success", error: null };
    if (path.startsWith("/publish_tasks/")) return Response.json(task);
    const [, scope = "", name = "", number] =
      /^\/scopes\/([^/]+)\/packages\/([^/]+)(?:\/versions\/([^/]+))?$/.exec(path) ?? [];
    if (request.method === "GET" && number === undefined) return Response.json({ scope, name });
    if (request.method !== "POST") return Response.json({ code: "packageVersionNotFound" }, { status: 404 });
    const packed = new Response(request.body?.pipeThrough(new DecompressionStream("gzip")));
    const config = this.#add(unpack(new Uint8Array(await packed.arrayBuffer())));
    this.uploads.push(`${config.name}@${config.version}`);
    return Response.json(task);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}

/**
 * A `DENO_DIR` of its own, so that nothing of a registry stays, with the npm packages of the usual one.
 *
 * @param folder Where it is made.
 */
export async function makeDenoDir(folder: string): Promise<void> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout));
  await Deno.mkdir(folder, { recursive: true });
  await Deno.symlink(npmCache, join(folder, "npm"));
}

function manifestOf(files: PackageFiles): object {
  const entries = [...files].map(([path, bytes]) => {
    const checksum = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
    return [path, { size: bytes.length, checksum }];
  });
  return Object.fromEntries(entries);
}

function contentType(path: string): string {
  if (/\.[mc]?ts$/.test(path)) return "text/typescript";
  if (/\.[mc]?js$/.test(path)) return "text/javascript";
  return path.endsWith(".json") ? "application/json" : "application/octet-stream";
}

/** The files of a tar archive. */
function unpack(tar: Uint8Array<ArrayBuffer>): PackageFiles {
  const BLOCK = 512;
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const text = (at: number, length: number): string =>
    new TextDecoder().decode(tar.subarray(at, at + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0;) {
    const [name, size, kind, prefix] = [
      text(at, 100),
      parseInt(text(at + 124, 12), 8),
      text(at + 156, 1),
      text(at + 345, 155),
    ];
    const path = (prefix === "" ? name : `${prefix}/${name}`).replace(/^\.?\/?/, "/");
    at += BLOCK;
    if (kind === "0" || kind === "") files.set(path, tar.slice(at, at + size));
    at += Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
