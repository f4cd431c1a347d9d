/**
 * Detects a machine's accelerators: drivers, their libraries, device files. Looks at files and starts nothing; the
 * files are passed in, so that tests can simulate machines.
 */
import { parseLoaderCache } from "./loader_cache.ts";

/** What is looked at. */
export interface Machine {
  /** `Deno.build.os` and `Deno.build.arch`. */
  readonly os: string;
  readonly arch: string;
  readonly env: (name: string) => string | undefined;
  /** Whether there is such a file, folder or device. */
  readonly exists: (path: string) => boolean;
  /** The names in a folder; empty if there is no folder. */
  readonly list: (folder: string) => readonly string[];
  /** The bytes of a file; nothing where there is none. */
  readonly read: (path: string) => Uint8Array | undefined;
}

/** An accelerator as a machine has it. */
export type Support<Found = unknown> =
  | ({ readonly usable: true } & Found)
  | {
    readonly usable: false;
    /** Why, as it reads behind `cannot be used: `. */
    readonly reason: string;
    /** The device's driver is here and something else is missing: worth a warning. */
    readonly hasDriver: boolean;
  };

/** What CUDA code finds here. */
export interface CudaFound {
  /** The release of CUDA whose runtime is installed: the code is built for one or the other. */
  readonly runtime: 12 | 13;
  /** The runtime's libraries, in the order in which they can be opened. */
  readonly preload: readonly string[];
}

/** The oldest driver that runs a release of CUDA. */
const LEAST_DRIVER = { 13: 580, 12: 525 } as const;
const NVIDIA_DEVICES = ["/proc/driver/nvidia/version", "/dev/nvidiactl"];
/** The GPU of the Windows that this Linux runs in (WSL). */
const WSL_DEVICE = "/dev/dxg";
/** Render nodes are numbered from here. */
const FIRST_RENDER_NODE = 128;
const MOST_RENDER_NODES = 16;
/** Mesa's driver that renders on the CPU. */
const SOFTWARE_DRIVER = /^lvp_/;

/**
 * What is there of NVIDIA's CUDA.
 *
 * @param machine What is looked at.
 * @returns The runtime to use, or what is missing.
 */
export function findCuda(machine: Machine): Support<CudaFound> {
  return machine.os === "windows" ? findCudaOnWindows(machine) : findCudaOnLinux(machine);
}

/**
 * Whether Vulkan can be expected to find a GPU.
 *
 * @param machine What is looked at.
 * @param options.anyDevice A driver that renders on the CPU is enough.
 */
export function findVulkan(machine: Machine, { anyDevice }: { readonly anyDevice: boolean }): Support {
  if (machine.os === "windows") {
    if (machine.exists(join(systemFolder(machine), "vulkan-1.dll"))) return { usable: true };
    return missing("the graphics driver brings no Vulkan (vulkan-1.dll)");
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
  if (findLibraryFile(machine, "libcuda.so.1") === undefined) {
    // WSL has this device for every vendor's graphics card.
    return {
      usable: false,
      reason: "NVIDIA's driver has no CUDA library (libcuda.so.1)",
      hasDriver: isNvidia(machine),
    };
  }
  const libraries = (runtime: number): string[] =>
    ["libcudart", "libcublasLt", "libcublas"].map((name) => `${name}.so.${runtime}`);
  return findRuntime(driverVersion(machine), (runtime) => {
    const found = libraries(runtime).map((name) => findLibraryFile(machine, name, toolkitFolders(machine)));
    return found.every((path) => path !== undefined) ? found : undefined;
  });
}

function isNvidia(machine: Machine): boolean {
  return NVIDIA_DEVICES.some(machine.exists);
}

function findCudaOnWindows(machine: Machine): Support<CudaFound> {
  if (!machine.exists(join(systemFolder(machine), "nvcuda.dll"))) {
    return missing("there is no NVIDIA driver (nvcuda.dll)");
  }
  const folders = windowsToolkitFolders(machine);
  return findRuntime(undefined, (runtime) => {
    const found = ["cudart64", "cublasLt64", "cublas64"].map((name) =>
      folders.map((folder) => join(folder, `${name}_${runtime}.dll`)).find(machine.exists)
    );
    return found.every((path) => path !== undefined) ? found : undefined;
  });
}

/** The newest runtime that is complete and that the driver runs. */
function findRuntime(
  driver: number | undefined,
  preloadOf: (runtime: 12 | 13) => readonly string[] | undefined,
): Support<CudaFound> {
  let tooOld: string | undefined;
  for (const runtime of [13, 12] as const) {
    const preload = preloadOf(runtime);
    if (preload === undefined) continue;
    const least = LEAST_DRIVER[runtime];
    if (driver === undefined || driver >= least) return { usable: true, runtime, preload };
    tooOld ??= `CUDA ${runtime} needs NVIDIA driver ${least} or newer, here is ${driver}`;
  }
  const reason = tooOld ?? "CUDA's runtime is not installed (cudart and cublas of CUDA 13 or 12)";
  return { usable: false, reason, hasDriver: true };
}

function missing(reason: string): Support<never> {
  return { usable: false, reason, hasDriver: false };
}

/** The first number of the driver's version; it says which releases of CUDA it runs. */
function driverVersion({ read }: Machine): number | undefined {
  const bytes = read("/proc/driver/nvidia/version");
  const version = bytes && /\s(\d{3,})\.\d+/.exec(new TextDecoder().decode(bytes))?.[1];
  return version ? Number(version) : undefined;
}

/** The names of the files that name Vulkan's drivers. */
function vulkanDrivers({ env, list }: Machine): string[] {
  const named = env("VK_DRIVER_FILES") || env("VK_ICD_FILENAMES");
  if (named) return named.split(":").filter((path) => path !== "").map((path) => path.split("/").at(-1) ?? path);
  const data = (env("XDG_DATA_DIRS") || "/usr/local/share:/usr/share").split(":");
  return ["/etc", ...data, "/run/opengl-driver/share"].flatMap((folder) => list(`${folder}/vulkan/icd.d`))
    .filter((name) => name.endsWith(".json"));
}

/**
 * Where a shared library of Linux is: where the system's loader looks, and in further folders.
 *
 * @param machine What is looked at.
 * @param name As other libraries ask for it: `libcuda.so.1`.
 * @param others Folders the loader may not know.
 * @returns Its path; nothing where there is none.
 */
export function findLibraryFile(machine: Machine, name: string, others: readonly string[] = []): string | undefined {
  const { env, exists } = machine;
  const inFolders = (folders: readonly string[]): string | undefined =>
    folders.map((folder) => `${folder}/${name}`).find(exists);
  const given = (env("LD_LIBRARY_PATH") ?? "").split(":").filter((folder) => folder !== "");
  return inFolders(given) ?? loaderCache(machine).get(name) ?? inFolders([...systemFolders(machine), ...others]);
}

const caches = new WeakMap<Machine, ReadonlyMap<string, string>>();

/** What the loader has looked up; read once for a machine. */
function loaderCache(machine: Machine): ReadonlyMap<string, string> {
  const known = caches.get(machine);
  if (known !== undefined) return known;
  const bytes = machine.read("/etc/ld.so.cache");
  const cache = bytes === undefined ? new Map<string, string>() : parseLoaderCache(bytes, machine.arch);
  caches.set(machine, cache);
  return cache;
}

/** Where the loader looks by default on common distributions. */
function systemFolders({ arch }: Machine): string[] {
  const triple = arch === "aarch64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return [`/usr/lib/${triple}`, `/lib/${triple}`, "/usr/lib64", "/lib64", "/usr/lib", "/lib", "/usr/lib/wsl/lib"]
    .concat("/run/opengl-driver/lib");
}

/** Where CUDA toolkits of Linux keep their libraries, the newest last installed first. */
function toolkitFolders({ env, list }: Machine): string[] {
  const versions = list("/usr/local").filter((name) => /^cuda-\d/.test(name))
    .toSorted((one, other) => other.localeCompare(one, "en", { numeric: true }));
  const homes = [env("CUDA_PATH"), "/usr/local/cuda", ...versions.map((name) => `/usr/local/${name}`), "/opt/cuda"];
  return homes.flatMap((home) => home ? [`${home}/lib64`, `${home}/targets/x86_64-linux/lib`] : []);
}

/** The same on Windows, where the loader's own way is the path. */
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

/** A path of Windows, also where tests ask for it elsewhere. */
function join(folder: string, name: string): string {
  return `${folder.replace(/[\\/]+$/, "")}\\${name}`;
}
