/** Mitigations of docs/threat-model.md as text in the source, and the test that turns red without each. */

/** One mitigation. */
export interface Mitigation {
  /** The threat it answers, shortly. */
  readonly threat: string;
  readonly file: string;
  /** Exactly one place of the file. */
  readonly source: string;
  /** What stands there instead when the mitigation is taken out. */
  readonly replacement: string;
  readonly test: string;
}

export const MITIGATIONS: readonly Mitigation[] = [
  {
    threat: "another user of the machine connects to inference",
    file: "src/server/inference_server.ts",
    source: "const SOCKET_MODE = 0o660;",
    replacement: "const SOCKET_MODE = 0o666;",
    test: "tests/security/access_test.ts",
  },
  {
    threat: "a symbolic link where a socket goes",
    file: "src/server/listener.ts",
    source: 'if (info.isSymlink) throw refusal(path, "it is a symbolic link");',
    replacement: "if (info.isSymlink) Deno.removeSync(path);",
    test: "tests/security/access_test.ts",
  },
  {
    threat: "TCP open to the network",
    file: "src/server/listener.ts",
    source: "if (!guarded && !isLoopback(address.hostname)) {",
    replacement: "if (!guarded && address.hostname === '') {",
    test: "tests/security/access_test.ts",
  },
  {
    threat: "guessing the API key",
    file: "src/server/auth.ts",
    source: "return timingSafeEqual(given, expected);",
    replacement: "return timingSafeEqual(given, given) || expected.length > 0;",
    test: "tests/daemon/tcp_auth_test.ts",
  },
  {
    threat: "another user calls dispatch",
    file: "src/server/dispatch_server.ts",
    source: "const SOCKET_MODE = 0o600;",
    replacement: "const SOCKET_MODE = 0o660;",
    test: "tests/daemon/dispatch_test.ts",
  },
  {
    threat: "the lock is a symbolic link",
    file: "src/daemon/lock.ts",
    source: 'if (before?.isSymlink) throw new LockError(`Cannot lock "${path}": it is a symbolic link`);',
    replacement: "",
    test: "tests/unit/daemon/lock_test.ts",
  },
  {
    threat: "a web page asks the bridge from another origin",
    file: "src/http/guard.ts",
    source: "if (!isOwn && !isConfigured && !isVisit) {",
    replacement: "if (!isOwn && !isConfigured && !isVisit && req.method === 'NONE') {",
    test: "tests/http/guard_test.ts",
  },
  {
    threat: "guessing the bridge's key",
    file: "src/http/guard.ts",
    source: "return found.includes(true);",
    replacement: "return found.length > 0;",
    test: "tests/http/guard_test.ts",
  },
  {
    threat: "one program opens connections until nobody else can",
    file: "src/server/connection_limit.ts",
    source:
      "if (has >= Math.ceil(this.#total * CALLER_SHARE)) return this.#refuse(caller, `This client has ${has} connections`);",
    replacement: "",
    test: "tests/daemon/budgets_test.ts",
  },
  {
    threat: "a caller washes out the log",
    file: "src/log/caller_rate.ts",
    source: "if (bucket.tokens >= 1) {",
    replacement: "if (bucket.tokens >= -Infinity) {",
    test: "tests/unit/log/caller_rate_test.ts",
  },
  {
    threat: "the engine reads keys in the user's environment",
    file: "src/backend/llama/engine_process.ts",
    source: "clearEnv: command.clearEnv ?? false,",
    replacement: "clearEnv: false,",
    test: "tests/security/confinement_test.ts",
  },
  {
    threat: "native code of an engine that was taken over",
    file: "src/confinement/confinement.ts",
    source: 'if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) return "prctl(PR_SET_NO_NEW_PRIVS) failed";',
    replacement: 'if (libc !== undefined) return "taken out";',
    test: "tests/security/confinement_test.ts",
  },
  {
    threat: "an engine goes on when its daemon was killed",
    file: "src/confinement/confinement.ts",
    source:
      'if (libc.prctl(PR_SET_PDEATHSIG, BigInt(SIGKILL), 0n, 0n, 0n) !== 0) return "prctl(PR_SET_PDEATHSIG) failed";',
    replacement: "",
    test: "tests/security/confinement_test.ts",
  },
];
