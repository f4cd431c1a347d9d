/** Hosts with their ports, as Deno's `--allow-net` names them. */
import { proxyPort } from "../backend/openai/http_client.ts";
import type { DaemonOptions } from "../config/options.ts";

/** Where the inference surfaces listen. */
export function tcpHosts({ listen }: DaemonOptions): string[] {
  return Object.values(listen).flatMap(({ tcp }) => tcp === undefined ? [] : [hostOf(tcp.hostname, tcp.port)]);
}

/** Where a download may lead: the source, and where a known one sends its clients. */
export function pullHosts(url: string): string[] {
  const host = remoteHost(url);
  return host === "huggingface.co:443" ? [host, ...HUGGING_FACE_HOSTS] : [host];
}

const HUGGING_FACE_HOSTS = ["cas-bridge.xethub.hf.co", "cdn-lfs.hf.co", "cdn-lfs-us-1.hf.co", "cdn-lfs-eu-1.hf.co"]
  .map((host) => `${host}:443`);

/** Of a URL. */
export function remoteHost(baseUrl: string): string {
  const { hostname, port, protocol } = new URL(baseUrl);
  return hostOf(hostname, Number(port) || (protocol === "https:" ? 443 : 80));
}

/** Of the URL of a proxy. */
export function proxyHost(url: string): string {
  const parsed = new URL(url);
  return hostOf(parsed.hostname, proxyPort(parsed));
}

/** A host and its port. */
export function hostOf(hostname: string, port: number): string {
  return `${hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname}:${port}`;
}
