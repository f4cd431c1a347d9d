import { assertEquals, assertRejects } from "@std/assert";
import { type Fetch, obtainLibraries } from "../../../../src/engine/native/libraries.ts";
import { LibraryError } from "../../../../src/libraries/library_files.ts";
import { FakeMachine } from "../../../support/fake_machine.ts";

const DENO = "/deno/npm/registry.npmjs.org/@node-llama-cpp";
const OWN = "/cache/libraries/3.21.1";
const VULKAN = {
  "/dev/dri/renderD128": "",
  "/usr/lib64/libvulkan.so.1": "",
  "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json": "",
};
const ENV = { DENO_DIR: "/deno" };

/** The libraries of a package in a cache. */
function unpacked(root: string, name: string): Record<string, string> {
  const folder = root === DENO ? `${DENO}/${name}/3.21.1` : `${root}/${name}`;
  return { [`${folder}/bins/${name}/libllama.v0.4.0.so`]: "" };
}

/** A machine with such files, to which fetching adds others. */
function machine(files: Readonly<Record<string, string>>): {
  readonly machine: FakeMachine;
  readonly asked: unknown[];
  readonly fetch: (outcome: Readonly<Record<string, string>> | string) => Fetch;
} {
  const known = { ...files };
  const asked: unknown[] = [];
  const fake = new FakeMachine(known, { env: ENV });
  return {
    machine: { ...fake, exists: (path) => new FakeMachine(known).exists(path) } as FakeMachine,
    asked,
    fetch: (outcome) => (need) => {
      asked.push(need);
      if (typeof outcome === "string") return outcome;
      Object.assign(known, outcome);
      return undefined;
    },
  };
}

const NOTHING: Fetch = () => {
  throw new Error("Something was fetched");
};

Deno.test("obtainLibraries takes what Deno has, then what was fetched before, and fetches nothing then", async () => {
  const both = { ...unpacked(DENO, "linux-x64"), ...unpacked(OWN, "linux-x64") };
  const folder = async (files: Record<string, string>): Promise<string> =>
    (await obtainLibraries({ cacheDir: "/cache" }, machine(files).machine, NOTHING)).source.folder;
  assertEquals(await folder(both), `${DENO}/linux-x64/3.21.1/bins/linux-x64`);
  assertEquals(await folder(unpacked(OWN, "linux-x64")), `${OWN}/linux-x64/bins/linux-x64`);
});

Deno.test("obtainLibraries looks at nothing when there is a build of one's own", async () => {
  const wish = { libraryDir: "/own", accelerator: "metal", cacheDir: "/cache" } as const;
  assertEquals(await obtainLibraries(wish, machine({}).machine, NOTHING), {
    source: { folder: "/own", own: true },
    unusable: [],
  });
});

Deno.test("obtainLibraries has the CPU's package fetched when there is no GPU, and no other", async () => {
  const { machine: here, asked, fetch } = machine({});
  const { source } = await obtainLibraries({ cacheDir: "/cache" }, here, fetch(unpacked(OWN, "linux-x64")));
  assertEquals(asked, [{ packages: ["linux-x64"] }]);
  assertEquals(source, { folder: `${OWN}/linux-x64/bins/linux-x64`, own: false });
});

Deno.test("obtainLibraries has the GPU's package fetched when there is one, which serves the CPU too", async () => {
  const { machine: here, asked, fetch } = machine({ ...VULKAN, ...unpacked(DENO, "linux-x64") });
  const { source } = await obtainLibraries({ cacheDir: "/cache" }, here, fetch(unpacked(OWN, "linux-x64-vulkan")));
  assertEquals(asked, [{ packages: ["linux-x64-vulkan"] }]);
  const folder = `${OWN}/linux-x64-vulkan/bins/linux-x64-vulkan`;
  assertEquals(source, {
    folder,
    own: false,
    accelerator: { name: "vulkan", folder, preload: [], optional: true },
  });
});

Deno.test("obtainLibraries goes on with the CPU when the GPU's package cannot be had and nobody asked for it", async () => {
  const { machine: here, fetch } = machine({ ...VULKAN, ...unpacked(DENO, "linux-x64") });
  const { source, unusable } = await obtainLibraries({ cacheDir: "/cache" }, here, fetch("there is no network"));
  assertEquals(source.accelerator, undefined);
  assertEquals(unusable.at(-1), { accelerator: "vulkan", reason: "there is no network", hasDriver: true });
});

Deno.test("obtainLibraries fails with the reason when what was asked for cannot be had", async () => {
  for (const accelerator of ["vulkan", "cpu"] as const) {
    const { machine: here, fetch } = machine(VULKAN);
    await assertRejects(
      () => obtainLibraries({ accelerator, cacheDir: "/cache" }, here, fetch("there is no network")),
      LibraryError,
      "there is no network",
    );
  }
  const { machine: here, fetch } = machine({});
  await assertRejects(
    () => obtainLibraries({ cacheDir: "/cache" }, here, fetch({})),
    LibraryError,
    "@node-llama-cpp/linux-x64 3.21.1 cannot be found",
  );
});

Deno.test("obtainLibraries takes CUDA's library from the one package and the rest from the other when it is CUDA 12", async () => {
  const cuda = ["libcuda.so.1", "libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12"];
  const { machine: here } = machine({
    "/dev/nvidiactl": "",
    ...Object.fromEntries(cuda.map((name) => [`/usr/lib64/${name}`, ""])),
    ...unpacked(DENO, "linux-x64"),
    [`${OWN}/linux-x64-cuda-ext/bins/linux-x64-cuda/fallback/libggml-cuda.so`]: "",
  });
  const { source } = await obtainLibraries({ accelerator: "cuda", cacheDir: "/cache" }, here, NOTHING);
  assertEquals(source, {
    folder: `${DENO}/linux-x64/3.21.1/bins/linux-x64`,
    own: false,
    accelerator: {
      name: "cuda",
      folder: `${OWN}/linux-x64-cuda-ext/bins/linux-x64-cuda/fallback`,
      preload: ["/usr/lib64/libcudart.so.12", "/usr/lib64/libcublasLt.so.12", "/usr/lib64/libcublas.so.12"],
      optional: false,
    },
  });
});
