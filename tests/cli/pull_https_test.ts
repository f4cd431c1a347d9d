/** Pulling over TLS, with certificates that `openssl` makes for the occasion. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { Sandbox } from "../support/program.ts";

const { sha256, url: file } = BUILT_INS["inferd-tiny-embed"];
const MODEL = Deno.readFileSync(file);

async function openssl(dir: string, args: readonly string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("openssl", {
      args: [...args],
      cwd: dir,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** An authority of its own, and a server's certificate by it. */
async function makeCertificates(dir: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  Deno.writeTextFileSync(`${dir}/leaf.ext`, "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
  const steps = [
    ["req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=inferd tests"],
    ["req", "-new", ...key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost"],
    [
      ...["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-out", "leaf.pem", "-days", "2", "-extfile", "leaf.ext"],
    ],
  ];
  for (const step of steps) if (!await openssl(dir, step)) throw new Error(`openssl ${step[0]} failed`);
}

Deno.test({
  name: "inferd pull fetches over https, and refuses unknown certificates and redirects to plain http",
  ignore: !await openssl(".", ["version"]),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await makeCertificates(box.dir);
    const read = (name: string): string => Deno.readTextFileSync(`${box.dir}/${name}`);
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert: read("leaf.pem"), key: read("leaf.key"), onListen: () => {} },
      (request) =>
        request.url.endsWith("/moved.gguf")
          ? Response.redirect("http://models.example/tiny.gguf")
          : new Response(MODEL, { headers: { etag: '"v1"' } }),
    );
    const base = `https://localhost:${server.addr.port}`;
    const env = { MODELS_HOME: `${box.dir}/models`, DENO_CERT: `${box.dir}/ca.pem` };
    const good = await box.run(["pull", `${base}/tiny.gguf`], { env });
    assertEquals([good.code, good.stdout], [0, `tiny  1.96 MiB  sha256:${sha256}\n`], good.stderr);
    const moved = await box.run(["pull", `${base}/moved.gguf`], { env });
    assertEquals([moved.code, moved.stdout], [1, ""]);
    assertStringIncludes(moved.stderr, "http://models.example");
    const others = `${box.dir}/others`;
    await using unknown = box.spawn(["pull", `${base}/other.gguf`], { env: { MODELS_HOME: others } });
    await unknown.stderr.has("invalid peer certificate");
    unknown.kill("SIGINT");
    assertEquals((await unknown.outcome).code, 1);
    assertEquals(
      (await box.run(["models", "--json"], { env: { MODELS_HOME: others } })).stdout.includes('"models":[]'),
      true,
    );
  },
});
