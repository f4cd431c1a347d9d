/** The draft model of a backend, looked at as if it were the model of a backend of its own: its files are found alike. */
import type { BackendConfig, LlamaBackendConfig } from "../options.ts";

/** A backend of the same name with the draft as its model; nothing where there is none. */
export function draftOf({ kind, name, draft }: LlamaBackendConfig): LlamaBackendConfig | undefined {
  return draft === undefined ? undefined : { kind, name, ...draft };
}

/** The local models of some backends, drafts after the models they guess for. */
export function localModels(backends: readonly BackendConfig[]): LlamaBackendConfig[] {
  return backends.flatMap((backend) =>
    backend.kind === "llamacpp" ? [backend, draftOf(backend)].filter((one) => one !== undefined) : []
  );
}
