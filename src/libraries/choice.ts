/** Chooses the accelerator and its packages, by the setting and the machine. */
import type { Accelerator, AcceleratorSetting } from "./accelerator.ts";
import { LibraryError, platformPackage } from "./library_files.ts";
import { findCuda, findVulkan, type Machine, type Support } from "./machine.ts";
import type { PackageName } from "./packages.ts";

export interface Candidate {
  readonly accelerator: Accelerator;
  /** The first package has llama.cpp, the last the accelerator's library. */
  readonly packages: readonly [PackageName, ...PackageName[]];
  /** System libraries to open first, because the loader may not find them. */
  readonly preload: readonly string[];
}

/** A better accelerator that cannot be used. */
export interface Unusable {
  readonly accelerator: Accelerator;
  readonly reason: string;
  /** The device is present, so the operator may expect it to be used. */
  readonly hasDriver: boolean;
}

export interface Choice {
  /** Best first; later ones are fallbacks. */
  readonly candidates: readonly [Candidate, ...Candidate[]];
  readonly unusable: readonly Unusable[];
}

/** GPU accelerators, best first. */
const GPUS = ["cuda", "vulkan", "metal"] as const;

/** @throws {LibraryError} If the configured accelerator is unusable; the message lists the alternatives. */
export function chooseLibraries(setting: AcceleratorSetting, machine: Machine): Choice {
  const { os, arch } = machine;
  const base = platformPackage(os, arch) as PackageName | undefined;
  if (base === undefined) throw new LibraryError(`No native library is published for "${os} ${arch}"`);
  const cpu: Candidate = { accelerator: "cpu", packages: [base], preload: [] };
  if (setting === "cpu") return { candidates: [cpu], unusable: [] };
  if (setting === "auto") {
    const unusable: Unusable[] = [];
    for (const accelerator of GPUS.filter((gpu) => isPublished(gpu, base))) {
      const found = find(accelerator, base, { machine, asked: false });
      if (found.usable) return { candidates: [found.candidate, cpu], unusable };
      unusable.push({ accelerator, reason: found.reason, hasDriver: found.hasDriver });
    }
    return { candidates: [cpu], unusable };
  }
  const found = find(setting, base, { machine, asked: true });
  if (found.usable) return { candidates: [found.candidate], unusable: [] };
  const possible = GPUS.filter((gpu) => find(gpu, base, { machine, asked: true }).usable);
  throw new LibraryError(
    `Accelerator "${setting}" cannot be used: ${found.reason}. Possible here: ${
      ["auto", "cpu", ...possible].join(", ")
    }`,
  );
}

function isPublished(accelerator: typeof GPUS[number], base: PackageName): boolean {
  return accelerator === "metal" ? base === "mac-arm64-metal" : base === "linux-x64" || base === "win-x64";
}

/** Packages of an accelerator, or why it is unusable. */
function find(
  accelerator: typeof GPUS[number],
  base: PackageName,
  { machine, asked }: { readonly machine: Machine; readonly asked: boolean },
): Support<{ readonly candidate: Candidate }> {
  const only = (name: PackageName): Support<{ readonly candidate: Candidate }> => ({
    usable: true,
    candidate: { accelerator, packages: [name], preload: [] },
  });
  if (!isPublished(accelerator, base)) {
    const { os, arch } = machine;
    return { usable: false, reason: `no package is published for "${os} ${arch}"`, hasDriver: false };
  }
  if (accelerator === "metal") return only(base);
  if (accelerator === "vulkan") {
    const found = findVulkan(machine, { anyDevice: asked });
    return found.usable ? only(`${base as "linux-x64" | "win-x64"}-vulkan`) : found;
  }
  const found = findCuda(machine);
  if (!found.usable) return found;
  const packages = cudaPackages(base as "linux-x64" | "win-x64", found.runtime);
  return { usable: true, candidate: { accelerator, packages, preload: found.preload } };
}

/**
 * The CUDA 13 package is complete. The CUDA 12 package has only the accelerator's library: on Linux it works with the
 * CPU package, whose other libraries differ only in name; on Windows those are built by a different compiler.
 */
function cudaPackages(base: "linux-x64" | "win-x64", runtime: 12 | 13): readonly [PackageName, ...PackageName[]] {
  if (runtime === 13) return [`${base}-cuda`];
  return [base === "linux-x64" ? base : `${base}-cuda`, `${base}-cuda-ext`];
}
