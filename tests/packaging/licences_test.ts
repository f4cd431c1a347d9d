/** Which licences are found, and which are allowed. */
import { assertEquals, assertThrows } from "@std/assert";
import { ROOT } from "../../packaging/copy.ts";
import { isAllowed, licencesOf, MissingPackageError, type PackageGraph } from "../../packaging/licences.ts";

/** Packages in a folder, each with its `package.json`; `undefined`: it is not there. */
function graph(dir: string, manifests: Readonly<Record<string, object | undefined>>): PackageGraph {
  return {
    npmPackages: Object.fromEntries(
      Object.entries(manifests).map(([name, manifest]) => {
        const localPath = `${dir}/${name}`;
        if (manifest !== undefined) {
          Deno.mkdirSync(localPath);
          Deno.writeTextFileSync(`${localPath}/package.json`, JSON.stringify(manifest));
        }
        return [`${name}@1.0.0`, { name, version: "1.0.0", localPath, dependencies: [] }];
      }),
    ),
  };
}

for (
  const [expression, allowed] of [
    ["MIT", true],
    ["GPL-3.0", false],
    ["(GPL-3.0 OR MIT)", true],
    ["MIT AND GPL-3.0", false],
    ["MIT AND (GPL-3.0 OR ISC)", true],
    ["GPL-3.0 OR MIT AND GPL-2.0", false],
    ["GPL-3.0 WITH MIT", false],
    ["MIT WITH Classpath-exception-2.0", false],
    ["(MIT", false],
    ["SEE LICENSE IN LICENSE", false],
    ["", false],
  ] as const
) {
  Deno.test(`the licence "${expression}" is ${allowed ? "allowed" : "refused"}`, () => {
    assertEquals(isAllowed(expression), allowed);
  });
}

Deno.test("licences are read from each package, also as old ones have them, and only what is optional may be missing", () => {
  const dir = Deno.makeTempDirSync();
  try {
    const packages = {
      new: { license: "MIT", optionalDependencies: { windows: "1.0.0" } },
      old: { licenses: [{ type: "MIT" }, { type: "Apache-2.0" }] },
      object: { license: { type: "ISC" } },
      none: {},
      windows: undefined,
    };
    assertEquals(licencesOf(graph(dir, packages)), {
      loaded: [
        { name: "new", version: "1.0.0", licence: "MIT" },
        { name: "old", version: "1.0.0", licence: "MIT OR Apache-2.0" },
        { name: "object", version: "1.0.0", licence: "ISC" },
        { name: "none", version: "1.0.0" },
      ],
      left: ["windows"],
    });
    assertThrows(() => licencesOf(graph(dir, { lost: undefined })), MissingPackageError, "lost@1.0.0");
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("every package that a program loads has a licence that is allowed", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "packaging/licences.ts"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  for (const name of ["zod", "node-llama-cpp", "hono", "@ai-sdk/provider"]) {
    assertEquals(text.split("\n").filter((line) => line.startsWith(`${name} `)).length, 1, name);
  }
});
