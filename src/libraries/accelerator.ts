/** The accelerators, as settings, packages and messages name them. */

/** What computes. */
export type Accelerator = "cpu" | "cuda" | "vulkan" | "metal";

/** What may compute: `auto` is the best that the machine has, and otherwise the CPU. */
export type AcceleratorSetting = "auto" | Accelerator;

/** The values of the setting. */
export const ACCELERATOR_SETTINGS: readonly AcceleratorSetting[] = ["auto", "cpu", "cuda", "vulkan", "metal"];
