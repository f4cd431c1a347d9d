/**
 * HTTP clients that connect only where configured. Deno's own client sends every request, even to this machine, through
 * the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, regardless of `--allow-net`.
 */

/** Variables that must be readable and writable to create a client. */
export const HTTP_CLIENT_ENV = ["NO_PROXY"] as const;

/** Deno's syntax for "no proxy at all": `*` matches names, the two networks match addresses. */
const EVERY_HOST = "*,0.0.0.0/0,::/0";

/** `isPrivateHost` in that syntax. */
const PRIVATE_HOSTS = "localhost,0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12," +
  "192.168.0.0/16,::/127,fc00::/7,fe80::/10";

/** Have plain `fetch`, in this process and its children, go through no proxy to this machine and private networks. */
export function bypassProxiesNearby(): void {
  const before = Deno.env.get("NO_PROXY") ?? Deno.env.get("no_proxy");
  Deno.env.set("NO_PROXY", before ? `${before},${PRIVATE_HOSTS}` : PRIVATE_HOSTS);
}

export interface HttpClientOptions {
  /** Proxy URL for all requests; default: none. Proxies from the environment are ignored. */
  readonly proxy?: string;
  readonly keepAlive: boolean;
}

/**
 * Create a client for `fetch`.
 *
 * Without `keepAlive` a request is sent at most once. Deno retries, even a POST, when a reused connection dies.
 *
 * @returns The client; the caller closes it.
 * @throws {Deno.errors.NotCapable} If this process may not set NO_PROXY, or may not connect to the proxy.
 */
export function createHttpClient({ proxy, keepAlive }: HttpClientOptions): Deno.HttpClient {
  return withNoProxy(proxy === undefined ? EVERY_HOST : "", () =>
    Deno.createHttpClient({
      ...(proxy === undefined ? {} : { proxy: toDenoProxy(proxy) }),
      // HTTP/2 shares connections, including ones that are shutting down.
      ...(keepAlive ? {} : { poolMaxIdlePerHost: 0, http2: false }),
    }));
}

/**
 * Deno reads proxies from the environment when a client is created, and NO_PROXY overrides them, but also an explicit
 * proxy. Synchronous, so nothing else sees the changed variable.
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
  // Without a port Deno requests permission for all ports.
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

export function proxyPort({ protocol, port }: URL): number {
  return Number(port) || (protocol === "https:" ? 443 : protocol === "http:" ? 80 : 1080);
}

/**
 * Proxy for a server.
 *
 * @returns The proxy's URL; undefined if the server is on this machine or in a private network, or no proxy is
 * configured.
 */
export function proxyFor(server: { readonly baseUrl: string; readonly proxy?: string }): string | undefined {
  return isPrivateHost(new URL(server.baseUrl).hostname) ? undefined : server.proxy;
}

/**
 * Whether a URL's host is an address of this machine or of a private network. Of names only `localhost` counts: others
 * would have to be resolved.
 *
 * @param hostname As in `URL`.
 */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (!host.startsWith("[")) return isPrivateIpv4(host);
  const address = host.slice(1, -1);
  // `URL` prints the IPv4 address in a mapped IPv6 address as two groups.
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
