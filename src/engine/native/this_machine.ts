/** The machine the engine runs on, behind the interface of `libraries/machine.ts`. */
import type { CudaDriver } from "../../libraries/cuda_code.ts";
import type { Machine } from "../../libraries/machine.ts";
import { kernelFiles } from "./libc/kernel_files.ts";

/** @returns Its capabilities. Needs `read` for everything, and `ffi`. */
export function thisMachine(env: (name: string) => string | undefined): Machine {
  const kernel = kernelFiles();
  return {
    os: Deno.build.os,
    arch: Deno.build.arch,
    env,
    exists: (path) => isOfKernel(path) ? kernel?.exists(path) ?? false : exists(path),
    list,
    read: (path) => isOfKernel(path) ? kernel?.read(path) : read(path),
    cudaDriver,
  };
}

/** NVIDIA's driver API. */
const LIBCUDA = {
  cuInit: { parameters: ["u32"], result: "i32" },
  cuDriverGetVersion: { parameters: ["buffer"], result: "i32" },
  cuDeviceGetCount: { parameters: ["buffer"], result: "i32" },
  cuDeviceGet: { parameters: ["buffer", "i32"], result: "i32" },
  cuDeviceGetAttribute: { parameters: ["buffer", "i32", "i32"], result: "i32" },
} as const;
/** `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…`. */
const CAPABILITY_MAJOR = 75;
const CAPABILITY_MINOR = 76;

/** Starts the driver in this process, as llama.cpp does later. The library stays open. */
function cudaDriver(libcuda: string): CudaDriver | undefined {
  try {
    const { symbols } = Deno.dlopen(libcuda, LIBCUDA);
    const number = (call: (out: Int32Array<ArrayBuffer>) => number): number => {
      const out = new Int32Array(1);
      const status = call(out);
      if (status !== 0) throw new Error(`NVIDIA's driver answers ${status}`);
      return out[0] as number;
    };
    if (symbols.cuInit(0) !== 0) return undefined;
    const release = number((out) => symbols.cuDriverGetVersion(out));
    const count = number((out) => symbols.cuDeviceGetCount(out));
    const capabilities = Array.from({ length: count }, (_, index) => {
      const device = number((out) => symbols.cuDeviceGet(out, index));
      const part = (attribute: number): number => number((out) => symbols.cuDeviceGetAttribute(out, attribute, device));
      return 10 * part(CAPABILITY_MAJOR) + part(CAPABILITY_MINOR);
    });
    return { release, capabilities };
  } catch {
    return undefined; // llama.cpp says what is wrong.
  }
}

/** Deno requires all permissions to read these. */
function isOfKernel(path: string): boolean {
  return /^\/(dev|proc|sys)\//.test(path);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // Not visible means not usable.
  }
}

function list(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch {
    return [];
  }
}

function read(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch {
    return undefined;
  }
}
