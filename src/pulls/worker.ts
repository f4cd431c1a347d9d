/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The worker that downloads for HTTP clients. It may write to the store and reach the hub; the thread that reads what
 * clients send may do neither, and can only give the orders in `messages.ts`.
 */
import { type Access, readHuggingFaceToken } from "../models/transfer/access.ts";
import { chooseFile, parseRepository, quantisationOf } from "../models/transfer/hub.ts";
import { parseReference, urlOfSource } from "../models/transfer/reference.ts";
import { needRoom } from "../models/transfer/room.ts";
import { isModelName, ModelStoreError, type PullSpec, Store } from "../models/store.ts";
import type { ListedModel, PullLine } from "../http/model_store.ts";
import { type Failure, readOrder, type Report, type Setup } from "./messages.ts";

const PROGRESS_MS = 250;

/** Executes orders. */
class Puller {
  readonly #setup: Setup;
  readonly #store: Store;
  readonly #env = (name: string): string | undefined => this.#setup.env[name];

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#store = new Store(setup.root);
  }

  async list(): Promise<readonly ListedModel[]> {
    const { models } = await this.#store.list();
    return models.flatMap(({ name, sha256, sizeBytes, producedAt, present }) =>
      present
        ? [{
          name,
          sha256,
          sizeBytes: sizeBytes ?? 0,
          modifiedAt: producedAt,
          quantisation: quantisationOf(name) ?? "",
        }]
        : []
    );
  }

  async pull(reference: string, tell: (line: PullLine) => void, signal: AbortSignal): Promise<void> {
    // Read each time: the token may be a new one.
    const access = { huggingFace: readHuggingFaceToken(this.#env), endpoint: this.#env("HF_ENDPOINT") };
    const { spec, sha256, isThere } = await this.#find(reference, access, signal);
    tell({ status: "pulling manifest" });
    if (isThere) return tell({ status: "success", model: spec.name });
    const { name } = await this.#store.pull(spec, {
      signal,
      access,
      progressMs: this.#setup.progressMs ?? PROGRESS_MS,
      onLength: needRoom(this.#setup.root, spec.name),
      onPhase: (phase) => {
        if (phase.phase === "verify") return tell({ status: "verifying sha256 digest" });
        if (phase.phase !== "download") return;
        tell({
          status: `pulling ${spec.name}`,
          ...sha256 === undefined ? {} : { digest: `sha256:${sha256}` },
          ...phase.total_bytes === null ? {} : { total: phase.total_bytes },
          completed: phase.downloaded_bytes,
        });
      },
      onStage: (stage) => {
        if (stage === "manifest") tell({ status: "writing manifest" });
      },
      onWait: () => tell({ status: `waiting for another process that pulls ${spec.name}` }),
      onRetry: ({ reason, delayMs }) => tell({ status: `${reason}; trying again in ${Math.round(delayMs / 1000)} s` }),
    });
    tell({ status: "success", model: name });
  }

  /** What a reference means, its hash if known, and whether the store has it already. */
  async #find(
    reference: string,
    access: Access,
    signal: AbortSignal,
  ): Promise<{ readonly spec: PullSpec; readonly sha256?: string | undefined; readonly isThere: boolean }> {
    const repository = parseRepository(reference);
    if (repository !== undefined) {
      const chosen = await chooseFile(repository, this.#setup.memoryBytes, { access, signal });
      const spec = parseReference(chosen.reference, this.#env);
      const known = await this.#store.find(spec.name);
      const { sha256 } = chosen;
      return { spec, sha256, isThere: known?.present === true && known.sha256 === sha256 };
    }
    if (reference.startsWith("hf:")) return { spec: parseReference(reference, this.#env), isThere: false };
    const known = isModelName(reference) ? await this.#store.find(reference) : undefined;
    const url = urlOfSource(known?.source ?? null, this.#env);
    if (known !== undefined && (known.present || url !== undefined)) {
      const { name, sha256, license, present } = known;
      const spec = { name, url: url ?? "", sha256, license, source: known.source ?? undefined };
      return { spec, sha256, isThere: present };
    }
    throw new ModelStoreError(
      "not_found",
      `The model store has no model ${JSON.stringify(reference)}, and Ollama's library is not known here: name a ` +
        "repository of GGUF files on Hugging Face, as in hf.co/OWNER/REPO:QUANTISATION",
    );
  }
}

const running = new Map<number, AbortController>();

function report(message: Report): void {
  self.postMessage(message);
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof ModelStoreError)) return { code: "internal", message: String(error) };
  return { code: error.code, message: error.message, status: error.status };
}

async function obey(puller: Puller, message: unknown): Promise<void> {
  const order = readOrder(message);
  if (order === undefined) throw new TypeError("The bridge sent something other than an order");
  const { id, word } = order;
  if (word === "cancel") return running.get(id)?.abort();
  const stop = new AbortController();
  running.set(id, stop);
  try {
    const list = word === "list" ? await puller.list() : [];
    if (word === "pull") await puller.pull(order.reference, (line) => report({ id, line }), stop.signal);
    report({ id, done: list });
  } catch (error) {
    report({ id, failure: failureOf(error) });
  } finally {
    running.delete(id);
  }
}

self.addEventListener("message", ({ data }: MessageEvent<Setup>) => {
  const puller = new Puller(data);
  self.addEventListener("message", ({ data }: MessageEvent<unknown>) => void obey(puller, data));
  self.postMessage("ready");
}, { once: true });
