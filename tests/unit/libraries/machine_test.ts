import { assertEquals } from "@std/assert";
import { findCuda, findLibraryFile, findVulkan, type Support } from "../../../src/libraries/machine.ts";
import { FakeMachine } from "../../support/fake_machine.ts";

const TOOLKIT = "/usr/local/cuda-12.4/targets/x86_64-linux/lib";

/** NVIDIA's driver, of a version. */
function nvidia(version: string): Record<string, string> {
  return {
    "/proc/driver/nvidia/version": `NVRM version: NVIDIA UNIX x86_64 Kernel Module  ${version}  Thu Jan 1 2026`,
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1": "",
  };
}

/** The runtime of a release of CUDA, in a folder. */
function runtime(release: number, folder: string): Record<string, string> {
  const names = ["libcudart", "libcublas", "libcublasLt"];
  return Object.fromEntries(names.map((name) => [`${folder}/${name}.so.${release}`, ""]));
}

function reason(found: Support): unknown {
  return found.usable ? "usable" : [found.reason, found.hasDriver];
}

Deno.test("findCuda says what is missing when there is no device, no driver's library, or no runtime", () => {
  const device = { "/dev/nvidiactl": "" };
  const driver = nvidia("580.65.06");
  assertEquals(reason(findCuda(new FakeMachine({}))), [
    "there is no NVIDIA driver (no /proc/driver/nvidia/version)",
    false,
  ]);
  assertEquals(reason(findCuda(new FakeMachine(device))), [
    "NVIDIA's driver has no CUDA library (libcuda.so.1)",
    true,
  ]);
  const noRuntime = ["CUDA's runtime is not installed (cudart and cublas of CUDA 13 or 12)", true];
  assertEquals(reason(findCuda(new FakeMachine(driver))), noRuntime);
  const half = { ...driver, "/usr/lib/x86_64-linux-gnu/libcudart.so.13": "" };
  assertEquals(reason(findCuda(new FakeMachine(half))), noRuntime);
});

Deno.test("findCuda takes the newest runtime that the driver runs, and says which driver it lacks", () => {
  const both = { ...runtime(13, "/usr/lib/x86_64-linux-gnu"), ...runtime(12, TOOLKIT) };
  const found = (version: string, files: Record<string, string>): unknown => {
    const cuda = findCuda(new FakeMachine({ ...nvidia(version), ...files }));
    return cuda.usable ? [cuda.runtime, cuda.preload] : cuda.reason;
  };
  const of = (release: number, folder: string): unknown => [
    release,
    ["libcudart", "libcublasLt", "libcublas"].map((name) => `${folder}/${name}.so.${release}`),
  ];
  assertEquals(found("580.65.06", both), of(13, "/usr/lib/x86_64-linux-gnu"));
  assertEquals(found("535.104.05", both), of(12, TOOLKIT));
  assertEquals(
    found("535.104.05", runtime(13, TOOLKIT)),
    "CUDA 13 needs NVIDIA driver 580 or newer, found 535",
  );
});

Deno.test("findCuda takes the runtime whose code the driver can compile for the card, and says which driver it lacks", () => {
  const both = { ...nvidia("580.65.06"), ...runtime(13, "/usr/lib/x86_64-linux-gnu"), ...runtime(12, TOOLKIT) };
  const only = { ...nvidia("580.65.06"), ...runtime(13, "/usr/lib/x86_64-linux-gnu") };
  const found = (files: Record<string, string>, release: number, ...capabilities: number[]): unknown => {
    const cuda = findCuda(new FakeMachine(files, { cuda: { release, capabilities } }));
    return cuda.usable ? cuda.runtime : [cuda.reason, cuda.hasDriver];
  };
  assertEquals(found(both, 13_000, 89), 13);
  assertEquals(found(both, 13_000, 90), 12);
  assertEquals(found(both, 13_010, 90), 13);
  assertEquals(found(both, 13_000), 13);
  assertEquals(found(only, 13_000, 89, 90), [
    "npm's code for CUDA 13 needs NVIDIA driver 590 or newer on a card of compute capability 9.0",
    true,
  ]);
});

Deno.test("findCuda finds the toolkit where the loader does not look, the newest first", () => {
  const files = {
    ...nvidia("580.1.2"),
    ...runtime(12, "/usr/local/cuda-12.9/lib64"),
    ...runtime(12, "/usr/local/cuda-12.10/lib64"),
  };
  const folderOf = (machine: FakeMachine): string | undefined => {
    const cuda = findCuda(machine);
    return cuda.usable ? cuda.preload[0]?.replace("/libcudart.so.12", "") : undefined;
  };
  assertEquals(folderOf(new FakeMachine(files)), "/usr/local/cuda-12.10/lib64");
  const own = { ...files, ...runtime(12, "/opt/mine/lib64") };
  assertEquals(folderOf(new FakeMachine(own, { env: { CUDA_PATH: "/opt/mine" } })), "/opt/mine/lib64");
});

Deno.test("findCuda blames nobody's driver when WSL has its device and another maker's card", () => {
  const wsl = { "/dev/dxg": "" };
  assertEquals(reason(findCuda(new FakeMachine(wsl))), ["NVIDIA's driver has no CUDA library (libcuda.so.1)", false]);
  const card = { ...wsl, "/usr/lib/wsl/lib/libcuda.so.1": "", ...runtime(12, "/usr/local/cuda/lib64") };
  assertEquals(reason(findCuda(new FakeMachine(card))), "usable");
});

Deno.test("findCuda looks into the system's and the toolkit's folders when it is Windows", () => {
  const windows = (files: Record<string, string>): FakeMachine => new FakeMachine(files, { os: "windows" });
  const driver = { "C:\\Windows\\System32\\nvcuda.dll": "" };
  const bin = "C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v13.0\\bin\\x64";
  const libraries = Object.fromEntries(
    ["cudart64", "cublas64", "cublasLt64"].map((name) => [`${bin}\\${name}_13.dll`, ""]),
  );
  assertEquals(reason(findCuda(windows({}))), ["there is no NVIDIA driver (nvcuda.dll)", false]);
  assertEquals(reason(findCuda(windows(driver))), [
    "CUDA's runtime is not installed (cudart and cublas of CUDA 13 or 12)",
    true,
  ]);
  const cuda = findCuda(windows({ ...driver, ...libraries }));
  assertEquals(cuda.usable && [cuda.runtime, cuda.preload[0]], [13, `${bin}\\cudart64_13.dll`]);
});

Deno.test("findVulkan wants a device, the loader and a driver that is not the CPU's", () => {
  const device = { "/dev/dri/renderD129": "" };
  const loader = { ...device, "/usr/lib/x86_64-linux-gnu/libvulkan.so.1": "" };
  const software = { ...loader, "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json": "" };
  const look = (files: Record<string, string>, anyDevice = false): unknown =>
    reason(findVulkan(new FakeMachine(files), { anyDevice }));
  assertEquals(look({}), ["there is no GPU (no /dev/dri/renderD*)", false]);
  assertEquals(look(device), ["Vulkan's loader is not installed (libvulkan.so.1)", true]);
  const noDriver = ["no Vulkan driver for a GPU is installed (/usr/share/vulkan/icd.d)", true];
  assertEquals(look(loader), noDriver);
  assertEquals(look(software), noDriver);
  assertEquals(look({ ...software, "/etc/vulkan/icd.d/nvidia_icd.json": "" }), "usable");
});

Deno.test("findVulkan takes any driver when it is asked for", () => {
  const software = {
    "/usr/lib/x86_64-linux-gnu/libvulkan.so.1": "",
    "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json": "",
  };
  assertEquals(findVulkan(new FakeMachine(software), { anyDevice: true }).usable, true);
  const named = new FakeMachine({ "/usr/lib64/libvulkan.so.1": "" }, { env: { VK_DRIVER_FILES: "/x/lvp_icd.json" } });
  assertEquals(findVulkan(named, { anyDevice: true }).usable, true);
  assertEquals(findVulkan(new FakeMachine({}), { anyDevice: true }).usable, false);
});

Deno.test("findVulkan looks for the system's library when it is Windows", () => {
  const windows = (files: Record<string, string>): FakeMachine => new FakeMachine(files, { os: "windows" });
  assertEquals(findVulkan(windows({}), { anyDevice: false }).usable, false);
  const files = { "C:\\Windows\\System32\\vulkan-1.dll": "" };
  assertEquals(findVulkan(windows(files), { anyDevice: false }).usable, true);
});

Deno.test("findLibraryFile goes by LD_LIBRARY_PATH before the usual folders", () => {
  const files = { "/usr/lib/x86_64-linux-gnu/libx.so.1": "", "/mine/libx.so.1": "" };
  assertEquals(findLibraryFile(new FakeMachine(files), "libx.so.1"), "/usr/lib/x86_64-linux-gnu/libx.so.1");
  const machine = new FakeMachine(files, { env: { LD_LIBRARY_PATH: ":/nowhere:/mine" } });
  assertEquals(findLibraryFile(machine, "libx.so.1"), "/mine/libx.so.1");
  assertEquals(findLibraryFile(machine, "liby.so.1"), undefined);
});
