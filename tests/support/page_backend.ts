/** A backend that does what the test says, in front of it a daemon and the bridge, for tests of the page. */
import type { BackendCapabilities, BackendNotice } from "../../src/inference/backend.ts";
import type { DaemonOptions } from "../../src/config/options.ts";
import type { HttpOptions } from "../../src/http/server.ts";
import { BridgeUnderTest } from "./bridges.ts";
import { CONTROLLED_CAPABILITIES, ControlledBackend } from "./controlled_backend.ts";

/** Tells what it can do, as backends do that load something. */
class PageBackend extends ControlledBackend {
  override start(notify?: (notice: BackendNotice) => void): Promise<void> {
    notify?.({ type: "ready", capabilities: this.capabilities });
    return Promise.resolve();
  }
}

/** What a test may say. */
export interface ControlledOptions {
  readonly capabilities?: Partial<BackendCapabilities>;
  readonly daemon?: Partial<DaemonOptions>;
  readonly http?: Partial<HttpOptions>;
}

/** Both; disposal ends them. */
export class ControlledBridge implements AsyncDisposable {
  readonly backend: ControlledBackend;
  readonly bridge: BridgeUnderTest;

  private constructor(backend: ControlledBackend, bridge: BridgeUnderTest) {
    this.backend = backend;
    this.bridge = bridge;
  }

  static async start({ capabilities = {}, ...options }: ControlledOptions = {}): Promise<ControlledBridge> {
    const backend = new PageBackend("controlled", { ...CONTROLLED_CAPABILITIES, v2: true, ...capabilities });
    return new ControlledBridge(backend, await BridgeUnderTest.start({ ...options, parts: { backends: [backend] } }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
  }
}
