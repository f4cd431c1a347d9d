import { assertEquals, assertThrows } from "@std/assert";
import { LibraryError } from "../../../src/libraries/library_files.ts";
import { type Candidate, chooseLibraries } from "../../../src/libraries/choice.ts";
import { FakeMachine, type FakeMachineOptions } from "../../support/fake_machine.ts";

const CPU: Candidate = { accelerator: "cpu", packages: ["linux-x64"], preload: [] };
const VULKAN = {
  "/dev/dri/renderD128": "",
  "/usr/lib64/libvulkan.so.1": "",
  "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json": "",
};

/** A machine with CUDA of a release. */
function cuda(release: number): Record<string, string> {
  const libraries = ["libcuda.so.1", ...["cudart", "cublas", "cublasLt"].map((name) => `lib${name}.so.${release}`)];
  return { "/dev/nvidiactl": "", ...Object.fromEntries(libraries.map((name) => [`/usr/lib64/${name}`, ""])) };
}

function tried(setting: Parameters<typeof chooseLibraries>[0], machine: FakeMachine): unknown {
  return chooseLibraries(setting, machine).candidates.map(({ accelerator, packages }) => [accelerator, ...packages]);
}

Deno.test("chooseLibraries takes the CPU's package alone when there is no GPU, and when nothing else is wanted", () => {
  assertEquals(chooseLibraries("auto", new FakeMachine({})).candidates, [CPU]);
  const all = new FakeMachine({ ...VULKAN, ...cuda(13) });
  assertEquals(chooseLibraries("cpu", all), { candidates: [CPU], unusable: [] });
});

Deno.test("chooseLibraries takes CUDA before Vulkan, and the CPU behind it, when it is left to it", () => {
  const both = new FakeMachine({ ...VULKAN, ...cuda(13) });
  assertEquals(tried("auto", both), [["cuda", "linux-x64-cuda"], ["cpu", "linux-x64"]]);
  assertEquals(tried("auto", new FakeMachine(VULKAN)), [["vulkan", "linux-x64-vulkan"], ["cpu", "linux-x64"]]);
  assertEquals(tried("vulkan", both), [["vulkan", "linux-x64-vulkan"]]);
});

Deno.test("chooseLibraries takes the packages that are built for the release of CUDA that is installed", () => {
  assertEquals(tried("cuda", new FakeMachine(cuda(13))), [["cuda", "linux-x64-cuda"]]);
  assertEquals(tried("cuda", new FakeMachine(cuda(12))), [["cuda", "linux-x64", "linux-x64-cuda-ext"]]);
  const bin = "D:\\cuda\\bin";
  const files = ["cudart64", "cublas64", "cublasLt64"].map((name) => [`${bin}\\${name}_12.dll`, ""] as const);
  const windows = new FakeMachine(
    { "C:\\Windows\\System32\\nvcuda.dll": "", ...Object.fromEntries(files) },
    { os: "windows", env: { CUDA_PATH: "D:\\cuda" } },
  );
  assertEquals(tried("cuda", windows), [["cuda", "win-x64-cuda", "win-x64-cuda-ext"]]);
});

Deno.test("chooseLibraries has one package for Apple's processors, with Metal or without", () => {
  const mac = new FakeMachine({}, { os: "darwin", arch: "aarch64" });
  assertEquals(tried("auto", mac), [["metal", "mac-arm64-metal"], ["cpu", "mac-arm64-metal"]]);
  assertEquals(tried("cpu", mac), [["cpu", "mac-arm64-metal"]]);
});

Deno.test("chooseLibraries says why a GPU is not used when there is one", () => {
  const machine = new FakeMachine({ "/dev/nvidiactl": "", "/usr/lib64/libcuda.so.1": "" });
  assertEquals(chooseLibraries("auto", machine).unusable, [
    {
      accelerator: "cuda",
      reason: "CUDA's runtime is not installed (cudart and cublas of CUDA 13 or 12)",
      hasDriver: true,
    },
    { accelerator: "vulkan", reason: "Vulkan's loader is not installed (libvulkan.so.1)", hasDriver: true },
  ]);
});

const REFUSED: readonly [string, Parameters<typeof chooseLibraries>[0], FakeMachineOptions, string][] = [
  [
    "there is no driver",
    "cuda",
    {},
    'Accelerator "cuda" cannot be used: there is no NVIDIA driver (no /proc/driver/nvidia/version). ' +
    "Possible here: auto, cpu, vulkan",
  ],
  [
    "there is no package of it for the system",
    "metal",
    {},
    'Accelerator "metal" cannot be used: no package is published for "linux x86_64". ' +
    "Possible here: auto, cpu, vulkan",
  ],
  [
    "there is no package of it for the processor",
    "cuda",
    { arch: "aarch64" },
    'Accelerator "cuda" cannot be used: no package is published for "linux aarch64". Possible here: auto, cpu',
  ],
  ["there is no package at all", "auto", { os: "freebsd" }, 'No native library is published for "freebsd x86_64"'],
];
for (const [when, setting, options, message] of REFUSED) {
  Deno.test(`chooseLibraries refuses in one line what cannot be used when ${when}`, () => {
    const error = assertThrows(() => chooseLibraries(setting, new FakeMachine(VULKAN, options)), LibraryError);
    assertEquals(error.message, message);
  });
}
