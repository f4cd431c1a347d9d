/** A TCP port of loopback that nothing listens on now, for programs that cannot say which one they chose. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
