/**
 * Whether a host name is this machine. Resolves nothing.
 *
 * @module
 */

/**
 * Whether nothing that is sent to an address leaves the machine.
 *
 * @param address An address; IPv6 with or without brackets.
 * @returns Whether it is a loopback address.
 */
export function isLoopbackAddress(address: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(address) || address === "::1" || address === "[::1]";
}

/**
 * Whether a host is this machine.
 *
 * @param host A name or an address.
 * @returns Whether it is a loopback address, or `localhost`, which is whatever the resolver says it is.
 */
export function isLoopback(host: string): boolean {
  return host === "localhost" || isLoopbackAddress(host);
}
