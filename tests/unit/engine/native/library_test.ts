import { assert, assertEquals } from "@std/assert";
import { isLibrary, platformPackage } from "../../../../src/libraries/library_files.ts";

Deno.test("platformPackage names the package when there is one for the machine", () => {
  assertEquals(platformPackage("linux", "x86_64"), "linux-x64");
  assertEquals(platformPackage("darwin", "aarch64"), "mac-arm64-metal");
  assertEquals(platformPackage("freebsd", "x86_64"), undefined);
});

Deno.test("isLibrary finds one of each name when the files are those of a platform's package", () => {
  const packages = [
    ["libggml-base.so", "libggml-cpu-haswell.so", "libggml.v0.4.0.so", "libllama-common.so", "libllama.v0.4.0.so"],
    ["libggml-base.dylib", "libggml.metal.v0.4.0.dylib", "libllama-common.dylib", "libllama.metal.v0.4.0.dylib"],
    ["ggml-base.dll", "ggml-cpu-haswell.dll", "ggml.v0.4.0.dll", "llama-common.dll", "llama.v0.4.0.dll"],
  ];
  for (const files of packages) {
    for (const library of ["ggml-base", "ggml", "llama"]) {
      assertEquals(files.filter((file) => isLibrary(file, library)).length, 1, `${library} in ${files}`);
    }
  }
  assert(isLibrary("libggml-cpu-haswell.so", "ggml-cpu-haswell"));
  assert(!isLibrary("llama-addon.node", "llama"));
});
