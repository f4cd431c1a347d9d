import { assertEquals } from "@std/assert";
import { isPrivateHost, proxyFor } from "../../../../src/backend/openai/http_client.ts";

Deno.test("isPrivateHost knows the addresses of this machine and of private networks, and takes no name for one", () => {
  const own = [
    "localhost",
    "LOCALHOST.",
    "gpu.localhost",
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.7",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.1.1",
    "100.64.0.1",
    "2130706433",
    "0x7f.1",
    "[::1]",
    "[::]",
    "[fd12::1]",
    "[fc00::1]",
    "[fe80::1]",
    "[febf::1]",
    "[::ffff:10.0.0.7]",
    "[::ffff:127.0.0.1]",
  ];
  const others = [
    "example.org",
    "localhost.example.org",
    "10.example.org",
    "gpu",
    "8.8.8.8",
    "172.15.0.1",
    "172.32.0.1",
    "192.169.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "[2001:db8::1]",
    "[fec0::1]",
    "[::ffff:8.8.8.8]",
  ];
  const tell = (host: string): boolean => isPrivateHost(new URL(`http://${host}/`).hostname);
  assertEquals(own.filter((host) => !tell(host)), []);
  assertEquals(others.filter(tell), []);
});

Deno.test("proxyFor gives the proxy of a server elsewhere, and none for one that is near", () => {
  const proxy = "http://proxy.example:3128";
  assertEquals(proxyFor({ baseUrl: "https://models.example/v1", proxy }), proxy);
  assertEquals(proxyFor({ baseUrl: "https://models.example/v1" }), undefined);
  assertEquals(proxyFor({ baseUrl: "http://10.0.0.7:8000/v1", proxy }), undefined);
});
