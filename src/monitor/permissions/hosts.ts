/** Hosts with ports, in the form `--allow-net` takes. */
import { proxyPort } from "../../backend/openai/http_client.ts";
import type { DaemonOptions } from "../../config/options.ts";

/** Addresses the inference surfaces listen on. */
export function tcpHosts({ listen }: DaemonOptions): string[] {
  return Object.values(listen).flatMap(({ tcp }) => tcp === undefined ? [] : [hostOf(tcp.hostname, tcp.port)]);
}

/** Hosts a download may contact: the source and, for known sources, the hosts they redirect to. */
export function pullHosts(url: string): string[] {
  const host = remoteHost(url);
  return host === "huggingface.co:443" ? [host, ...HUGGING_FACE_HOSTS] : [host];
}

const HUGGING_FACE_HOSTS = ["cas-bridge.xethub.hf.co", "cdn-lfs.hf.co", "cdn-lfs-us-1.hf.co", "cdn-lfs-eu-1.hf.co"]
  .map((host) => `${host}:443`);

/** Host and port of a URL. */
export function remoteHost(baseUrl: string): string {
  const { hostname, port, protocol } = new URL(baseUrl);
  return hostOf(hostname, Number(port) || (protocol === "https:" ? 443 : 80));
}

/** Host and port of a proxy URL. */
export function proxyHost(url: string): string {
  const parsed = new URL(url);
  return hostOf(parsed.hostname, proxyPort(parsed));
}

export function hostOf(hostname: string, port: number): string {
  return `${hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname}:${port}`;
}
