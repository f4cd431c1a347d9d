/** Names of accelerators in settings, packages and messages. */

/** Compute device. */
export type Accelerator = "cpu" | "cuda" | "vulkan" | "metal";

/** Accelerator setting: `auto` is the best available, or the CPU. */
export type AcceleratorSetting = "auto" | Accelerator;

/** Valid values of the setting. */
export const ACCELERATOR_SETTINGS: readonly AcceleratorSetting[] = ["auto", "cpu", "cuda", "vulkan", "metal"];
