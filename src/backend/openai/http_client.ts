/**
 * HTTP clients that connect where they are configured to and nowhere else. Deno's own client sends every request, also one to
 * this machine, through the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names, past what `--allow-net` lists.
 */

/** The variables that have to be readable and writable where a client is made. */
export const HTTP_CLIENT_ENV = ["NO_PROXY"] as const;

/** Deno's rules for "no proxy at all": `*` matches names, the two networks match addresses. */
const EVERY_HOST = "*,0.0.0.0/0,::/0";

/** How a client connects. */
export interface HttpClientOptions {
  /** URL of a proxy for every request; absent: none. The environment's proxies are ignored. */
  readonly proxy?: string;
  /** Use a connection for several requests. */
  readonly keepAlive: boolean;
}

/**
 * Make a client for `fetch`.
 *
 * Without `keepAlive` a request is sent once, whatever happens: Deno sends it again by itself, also a POST, when a
 * connection dies that has served a request before.
 *
 * @param options How it connects.
 * @returns The client; whoever made it closes it.
 * @throws {Deno.errors.NotCapable} If this process may not set NO_PROXY, or may not connect to the proxy.
 */
export function createHttpClient({ proxy, keepAlive }: HttpClientOptions): Deno.HttpClient {
  return withNoProxy(proxy === undefined ? EVERY_HOST : "", () =>
    Deno.createHttpClient({
      ...(proxy === undefined ? {} : { proxy: toDenoProxy(proxy) }),
      // HTTP/2 shares its connections, also those that are shutting down.
      ...(keepAlive ? {} : { poolMaxIdlePerHost: 0, http2: false }),
    }));
}

/**
 * Deno reads the environment's proxies when a client is made, and NO_PROXY overrides them, and also a proxy that
 * the client is given. Nothing else runs meanwhile.
 */
function withNoProxy<T>(value: string, make: () => T): T {
  const before = Deno.env.get("NO_PROXY");
  Deno.env.set("NO_PROXY", value);
  try {
    return make();
  } finally {
    if (before === undefined) Deno.env.delete("NO_PROXY");
    else Deno.env.set("NO_PROXY", before);
  }
}

function toDenoProxy(proxy: string): Deno.Proxy {
  const url = new URL(proxy);
  const { username, password } = url;
  [url.username, url.password] = ["", ""];
  // Without a port Deno asks for the permission to connect to all of them.
  url.port = String(proxyPort(url));
  if (username === "" && password === "") return { url: url.href };
  return { url: url.href, basicAuth: { username: decoded(username), password: decoded(password) } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The port a proxy is at.
 *
 * @param url The proxy's.
 */
export function proxyPort({ protocol, port }: URL): number {
  return Number(port) || (protocol === "https:" ? 443 : protocol === "http:" ? 80 : 1080);
}

/**
 * The proxy a server is asked through.
 *
 * @param server Where it is, and the proxy that is configured for it.
 * @returns The proxy's URL; undefined where the server is on this machine or in a private network, or none is
 * configured.
 */
export function proxyFor(server: { readonly baseUrl: string; readonly proxy?: string }): string | undefined {
  return isPrivateHost(new URL(server.baseUrl).hostname) ? undefined : server.proxy;
}

/**
 * Whether a URL's host is an address of this machine or of a private network. A name other than `localhost` is none:
 * only whoever resolves it knows.
 *
 * @param hostname As `URL` has it.
 */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (!host.startsWith("[")) return isPrivateIpv4(host);
  const address = host.slice(1, -1);
  // `URL` writes an IPv4 address within IPv6 as two groups.
  const [, high, low] = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address) ?? [];
  if (high !== undefined && low !== undefined) {
    const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
    return isPrivateIpv4([first >> 8, first & 255, second >> 8, second & 255].join("."));
  }
  // Unspecified, loopback, unique local (fc00::/7), link-local (fe80::/10).
  return /^::1?$/.test(address) || /^f[cd][0-9a-f]{2}:/.test(address) || /^fe[89ab][0-9a-f]:/.test(address);
}

function isPrivateIpv4(host: string): boolean {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(host)) return false;
  const [first = 0, second = 0] = host.split(".").map(Number);
  return first === 0 || first === 10 || first === 127 ||
    (first === 100 && second >= 64 && second < 128) ||
    (first === 169 && second === 254) ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168);
}
