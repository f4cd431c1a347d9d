/**
 * Detects accelerators: drivers, their libraries, device files. Looks at files and asks NVIDIA's driver for its cards,
 * through functions that tests can replace; starts nothing.
 */
import { codeRefusal, type CudaDriver } from "./cuda_code.ts";
import { parseLoaderCache } from "./loader_cache.ts";

export interface Machine {
  /** `Deno.build.os` and `Deno.build.arch`. */
  readonly os: string;
  readonly arch: string;
  readonly env: (name: string) => string | undefined;
  readonly exists: (path: string) => boolean;
  /** Names in a folder; empty if it does not exist. */
  readonly list: (folder: string) => readonly string[];
  /** Content of a file, if it exists. */
  readonly read: (path: string) => Uint8Array | undefined;
  /** Asks NVIDIA's driver, given its library; absent, or `undefined`: it does not tell. */
  readonly cudaDriver?: (libcuda: string) => CudaDriver | undefined;
}

export type Support<Found = unknown> =
  | ({ readonly usable: true } & Found)
  | {
    readonly usable: false;
    /** Phrased to follow `cannot be used: `. */
    readonly reason: string;
    /** The device's driver is present but something else is missing, which is worth a warning. */
    readonly hasDriver: boolean;
  };

export interface CudaFound {
  /** Major version of the installed CUDA runtime. */
  readonly runtime: 12 | 13;
  /** Runtime libraries, in loading order. */
  readonly preload: readonly string[];
}

/** Minimum driver version by CUDA release. */
const LEAST_DRIVER = { 13: 580, 12: 525 } as const;
const NVIDIA_DEVICES = ["/proc/driver/nvidia/version", "/dev/nvidiactl"];
const WSL_DEVICE = "/dev/dxg";
const FIRST_RENDER_NODE = 128;
const MOST_RENDER_NODES = 16;
/** Mesa's software renderer. */
const SOFTWARE_DRIVER = /^lvp_/;

/** @returns The runtime to use, or what is missing. */
export function findCuda(machine: Machine): Support<CudaFound> {
  return machine.os === "windows" ? findCudaOnWindows(machine) : findCudaOnLinux(machine);
}

/** @param options.anyDevice Accept software renderers. */
export function findVulkan(machine: Machine, { anyDevice }: { readonly anyDevice: boolean }): Support {
  if (machine.os === "windows") {
    if (machine.exists(join(systemFolder(machine), "vulkan-1.dll"))) return { usable: true };
    return missing("the graphics driver does not support Vulkan (no vulkan-1.dll)");
  }
  const nodes = Array.from({ length: MOST_RENDER_NODES }, (_, i) => `/dev/dri/renderD${FIRST_RENDER_NODE + i}`);
  const hasDevice = [...nodes, ...NVIDIA_DEVICES, WSL_DEVICE].some(machine.exists);
  if (!hasDevice && !anyDevice) return missing("there is no GPU (no /dev/dri/renderD*)");
  const partly = (reason: string): Support => ({ usable: false, reason, hasDriver: hasDevice });
  if (findLibraryFile(machine, "libvulkan.so.1") === undefined) {
    return partly("Vulkan's loader is not installed (libvulkan.so.1)");
  }
  const drivers = vulkanDrivers(machine);
  if (drivers.some((name) => anyDevice || !SOFTWARE_DRIVER.test(name))) return { usable: true };
  return partly("no Vulkan driver for a GPU is installed (/usr/share/vulkan/icd.d)");
}

function findCudaOnLinux(machine: Machine): Support<CudaFound> {
  const hasDevice = [...NVIDIA_DEVICES, WSL_DEVICE].some(machine.exists);
  if (!hasDevice) return missing("there is no NVIDIA driver (no /proc/driver/nvidia/version)");
  const libcuda = findLibraryFile(machine, "libcuda.so.1");
  if (libcuda === undefined) {
    // WSL has this device for GPUs of every vendor.
    return {
      usable: false,
      reason: "NVIDIA's driver has no CUDA library (libcuda.so.1)",
      hasDriver: NVIDIA_DEVICES.some(machine.exists),
    };
  }
  const libraries = (runtime: number): string[] =>
    ["libcudart", "libcublasLt", "libcublas"].map((name) => `${name}.so.${runtime}`);
  return findRuntime({ version: driverVersion(machine), ...machine.cudaDriver?.(libcuda) }, (runtime) => {
    const found = libraries(runtime).map((name) => findLibraryFile(machine, name, toolkitFolders(machine)));
    return found.every((path) => path !== undefined) ? found : undefined;
  });
}

function findCudaOnWindows(machine: Machine): Support<CudaFound> {
  if (!machine.exists(join(systemFolder(machine), "nvcuda.dll"))) {
    return missing("there is no NVIDIA driver (nvcuda.dll)");
  }
  const folders = windowsToolkitFolders(machine);
  return findRuntime({ version: undefined }, (runtime) => {
    const found = ["cudart64", "cublasLt64", "cublas64"].map((name) =>
      folders.map((folder) => join(folder, `${name}_${runtime}.dll`)).find(machine.exists)
    );
    return found.every((path) => path !== undefined) ? found : undefined;
  });
}

/** Newest complete runtime that the driver supports, with code for the cards. */
function findRuntime(
  { version, release, capabilities = [] }: { readonly version: number | undefined } & Partial<CudaDriver>,
  preloadOf: (runtime: 12 | 13) => readonly string[] | undefined,
): Support<CudaFound> {
  let refusal: string | undefined;
  for (const runtime of [13, 12] as const) {
    const preload = preloadOf(runtime);
    if (preload === undefined) continue;
    const least = LEAST_DRIVER[runtime];
    const found = version === undefined ? "" : `, found ${version}`;
    const why = version !== undefined && version < least
      ? `CUDA ${runtime} needs NVIDIA driver ${least} or newer${found}`
      : release !== undefined && capabilities.length > 0
      ? codeRefusal(runtime, { release, capabilities })
      : undefined;
    if (why === undefined) return { usable: true, runtime, preload };
    refusal ??= why;
  }
  const reason = refusal ?? "CUDA's runtime is not installed (cudart and cublas of CUDA 13 or 12)";
  return { usable: false, reason, hasDriver: true };
}

function missing(reason: string): Support<never> {
  return { usable: false, reason, hasDriver: false };
}

/** Major version of the driver, which determines the supported CUDA releases. */
function driverVersion({ read }: Machine): number | undefined {
  const bytes = read("/proc/driver/nvidia/version");
  const version = bytes && /\s(\d{3,})\.\d+/.exec(new TextDecoder().decode(bytes))?.[1];
  return version ? Number(version) : undefined;
}

function vulkanDrivers({ env, list }: Machine): string[] {
  const named = env("VK_DRIVER_FILES") || env("VK_ICD_FILENAMES");
  if (named) return named.split(":").filter((path) => path !== "").map((path) => path.split("/").at(-1) ?? path);
  const data = (env("XDG_DATA_DIRS") || "/usr/local/share:/usr/share").split(":");
  return ["/etc", ...data, "/run/opengl-driver/share"].flatMap((folder) => list(`${folder}/vulkan/icd.d`))
    .filter((name) => name.endsWith(".json"));
}

/**
 * Find a shared library on Linux: in the loader's cache and folders, and in further folders.
 *
 * @param name File name, such as `libcuda.so.1`.
 * @param others Folders that the loader may not know.
 * @returns Its path, if found.
 */
export function findLibraryFile(machine: Machine, name: string, others: readonly string[] = []): string | undefined {
  const { env, exists } = machine;
  const inFolders = (folders: readonly string[]): string | undefined =>
    folders.map((folder) => `${folder}/${name}`).find(exists);
  const given = (env("LD_LIBRARY_PATH") ?? "").split(":").filter((folder) => folder !== "");
  return inFolders(given) ?? loaderCache(machine).get(name) ?? inFolders([...systemFolders(machine), ...others]);
}

const caches = new WeakMap<Machine, ReadonlyMap<string, string>>();

/** The loader's cache; read once per machine. */
function loaderCache(machine: Machine): ReadonlyMap<string, string> {
  const known = caches.get(machine);
  if (known !== undefined) return known;
  const bytes = machine.read("/etc/ld.so.cache");
  const cache = bytes === undefined ? new Map<string, string>() : parseLoaderCache(bytes, machine.arch);
  caches.set(machine, cache);
  return cache;
}

function systemFolders({ arch }: Machine): string[] {
  const triple = arch === "aarch64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return [`/usr/lib/${triple}`, `/lib/${triple}`, "/usr/lib64", "/lib64", "/usr/lib", "/lib", "/usr/lib/wsl/lib"]
    .concat("/run/opengl-driver/lib");
}

/** Library folders of CUDA toolkits on Linux, newest version first. */
function toolkitFolders({ env, list }: Machine): string[] {
  const versions = list("/usr/local").filter((name) => /^cuda-\d/.test(name))
    .toSorted((one, other) => other.localeCompare(one, "en", { numeric: true }));
  const homes = [env("CUDA_PATH"), "/usr/local/cuda", ...versions.map((name) => `/usr/local/${name}`), "/opt/cuda"];
  return homes.flatMap((home) => home ? [`${home}/lib64`, `${home}/targets/x86_64-linux/lib`] : []);
}

/** The same on Windows, where the loader searches PATH. */
function windowsToolkitFolders({ env, list }: Machine): string[] {
  const root = join(env("ProgramFiles") || "C:\\Program Files", "NVIDIA GPU Computing Toolkit\\CUDA");
  const versions = list(root).toSorted((one, other) => other.localeCompare(one, "en", { numeric: true }));
  const homes = [env("CUDA_PATH"), ...versions.map((name) => join(root, name))];
  return [
    ...homes.flatMap((home) => home ? [join(home, "bin"), join(home, "bin\\x64")] : []),
    ...(env("PATH") ?? "").split(";").filter((folder) => folder !== ""),
  ];
}

function systemFolder({ env }: Machine): string {
  return join(env("SystemRoot") || "C:\\Windows", "System32");
}

/** Joins Windows paths, on any platform. */
function join(folder: string, name: string): string {
  return `${folder.replace(/[\\/]+$/, "")}\\${name}`;
}
