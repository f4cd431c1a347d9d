/** Names of accelerators in settings, packages and messages. */

export type Accelerator = "cpu" | "cuda" | "vulkan" | "metal";

/** Accelerator setting: `auto` is the best available, or the CPU. */
export type AcceleratorSetting = "auto" | Accelerator;

export const ACCELERATOR_SETTINGS: readonly AcceleratorSetting[] = ["auto", "cpu", "cuda", "vulkan", "metal"];
