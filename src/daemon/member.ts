/**
 * A backend of the daemon with its configuration and latest state, so that a reload can keep, replace or recreate it.
 */
import type { BackendConfig, DaemonOptions } from "../config/options.ts";
import type { Backend, BackendNotice } from "../inference/backend.ts";
import { lookAtModelFile, sameBytes } from "../models/file/model_file.ts";
import type { ServedConfig } from "./served_config.ts";
import { createBackend, type CreateOptions, loadsOnDemand, locateModel, type LocateOptions } from "./backends.ts";

export interface MakeOptions extends Omit<LocateOptions, "built">, Omit<CreateOptions, "options"> {
  readonly options: DaemonOptions;
  /** Default: by their configuration. */
  readonly create?: typeof createBackend;
}

/** A backend of the daemon; disposal releases everything it holds, once. */
export class Member implements AsyncDisposable {
  readonly backend: Backend;
  /** Its configuration, with its model located. */
  readonly config: BackendConfig | undefined;
  /** Identity of its configuration; a different key means a different backend. */
  readonly key: string;
  readonly #held: AsyncDisposableStack;
  /** Its latest `ready` notice. */
  ready: Extract<BackendNotice, { type: "ready" }> | undefined;
  #disposed: Promise<void> | undefined;

  constructor(backend: Backend, made: {
    readonly key: string;
    readonly config?: BackendConfig;
    readonly held?: AsyncDisposableStack;
  }) {
    this.backend = backend;
    this.config = made.config;
    this.key = made.key;
    this.#held = made.held ?? new AsyncDisposableStack();
  }

  /** Whether the model files on disk are the ones that were loaded. */
  async isCurrent(): Promise<boolean> {
    for (const { path, identity } of this.ready?.files ?? []) {
      try {
        if (!sameBytes(identity, await lookAtModelFile(path))) return false;
      } catch {
        return false;
      }
    }
    return true;
  }

  /** Tells the context and the files it is ready with, if it is. */
  tellServed(served: ServedConfig): void {
    if (this.ready !== undefined) {
      served.ready(this.backend.name, this.ready.capabilities.contextTokens, this.ready.files);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposed ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    await using _held = this.#held;
    await this.backend[Symbol.asyncDispose]();
  }
}

export function memberKey(config: BackendConfig, { parallel }: Pick<DaemonOptions, "parallel">): string {
  return JSON.stringify({ parallel, ...config });
}

/**
 * Locate models and create their backends, without starting them.
 *
 * @returns One per configuration, in order; all are disposed of if one cannot be created.
 * @throws {Error} If a model is missing and cannot be fetched; the message is for the operator.
 */
export async function makeMembers(configs: readonly BackendConfig[], make: MakeOptions): Promise<Member[]> {
  const { create = createBackend, options, loaded, ...others } = make;
  const sharing = loaded !== undefined && loadsOnDemand(options.backends) ? { loaded } : {};
  await using made = new AsyncDisposableStack();
  const members = await Promise.all(configs.map(async (asked) => {
    const held = made.use(new AsyncDisposableStack());
    const located = await locateModel(asked, { ...make, built: held });
    const index = options.backends.indexOf(asked);
    const backend = await create(located, { ...others, ...sharing, options }, index);
    return new Member(backend, { key: memberKey(asked, options), config: located.config, held });
  }));
  made.move();
  return members;
}

/** Wraps injected backends as if created from the configuration. */
export function membersOf(backends: readonly Backend[], options: DaemonOptions): Member[] {
  return backends.map((backend, index) => {
    const config = options.backends[index];
    return new Member(
      backend,
      config === undefined ? { key: backend.name } : { key: memberKey(config, options), config },
    );
  });
}

/** Disposes of backends, continuing past failures. */
export async function disposeMembers(members: Iterable<Member>): Promise<void> {
  await using all = new AsyncDisposableStack();
  for (const member of members) all.use(member);
}
