/** A machine of which a test says what files it has. */
import type { CudaDriver } from "../../src/libraries/cuda_code.ts";
import type { Machine } from "../../src/libraries/machine.ts";

/** What is not said: Linux on x86_64, no variables. */
export interface FakeMachineOptions {
  readonly os?: string;
  readonly arch?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cuda?: CudaDriver;
}

/** The machine. */
export class FakeMachine implements Machine {
  readonly os: string;
  readonly arch: string;
  readonly env: Machine["env"];
  readonly cudaDriver: () => CudaDriver | undefined;
  readonly #files: ReadonlyMap<string, string | Uint8Array>;

  /**
   * @param files Contents by path; of bytes each character one.
   * @param options What else there is to say.
   */
  constructor(files: Readonly<Record<string, string | Uint8Array>>, options: FakeMachineOptions = {}) {
    const { os = "linux", arch = "x86_64", env = {}, cuda } = options;
    this.os = os;
    this.arch = arch;
    this.env = (name) => env[name];
    this.cudaDriver = (): CudaDriver | undefined => cuda;
    this.#files = new Map(Object.entries(files));
  }

  readonly exists = (path: string): boolean => this.#files.has(path) || this.list(path).length > 0;

  readonly list = (folder: string): readonly string[] => {
    const start = folder + (this.os === "windows" ? "\\" : "/");
    const below = [...this.#files.keys()].filter((path) => path.startsWith(start));
    return [...new Set(below.map((path) => path.slice(start.length).split(/[/\\]/)[0] as string))].sort();
  };

  readonly read = (path: string): Uint8Array | undefined => {
    const content = this.#files.get(path);
    return typeof content === "string" ? new TextEncoder().encode(content) : content;
  };
}
