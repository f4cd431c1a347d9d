/**
 * systemd notifications as in sd_notify(3): datagrams to the socket in `NOTIFY_SOCKET`. Sent through libc, opened at
 * boot, because Deno's unix datagram sockets are unstable and do not support abstract names.
 */

/** Variables it reads; systemd sets both for units with `Type=notify` and `WatchdogSec`. */
export const NOTIFY_VARIABLES: readonly string[] = ["NOTIFY_SOCKET", "WATCHDOG_USEC"];

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Sizes in `sockaddr_un`: family and path. */
const FAMILY_BYTES = 2;
const MAX_PATH_BYTES = 108;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

export interface NotifierOptions {
  readonly env: (name: string) => string | undefined;
  /** Candidate paths of libc; needs `ffi` permission for one of them until `open` returns. */
  readonly libc: readonly string[];
}

/** Connection to the service manager. Disposal ends the watchdog heartbeat. */
export class Notifier implements Disposable {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #fd: number;
  #beat: ReturnType<typeof setInterval> | undefined;

  private constructor(libc: Deno.DynamicLibrary<typeof SYMBOLS>, address: Uint8Array<ArrayBuffer>) {
    this.#libc = libc;
    this.#address = address;
    this.#fd = libc.symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }

  /**
   * Report that the daemon is loading, and start the watchdog heartbeat at half its interval, for as long as the event
   * loop runs.
   *
   * @returns Undefined without a service manager, or if it cannot be notified.
   */
  static open({ env, libc }: NotifierOptions): Notifier | undefined {
    if (Deno.build.os !== "linux" || !NOTIFY_VARIABLES.every(isReadable)) return undefined;
    const address = addressOf(env("NOTIFY_SOCKET") ?? "");
    const path = libc.find((one) =>
      Deno.permissions.querySync({ name: "ffi", path: one }).state === "granted" && isFile(one)
    );
    if (address === undefined || path === undefined) return undefined;
    const notifier = new Notifier(Deno.dlopen(path, SYMBOLS), address);
    notifier.#send("STATUS=Loading");
    const watchdogMs = Number(env("WATCHDOG_USEC")) / 1000;
    if (watchdogMs > 0) {
      notifier.#beat = setInterval(() => notifier.#send("WATCHDOG=1"), watchdogMs / 2);
      Deno.unrefTimer(notifier.#beat);
    }
    return notifier;
  }

  ready(): void {
    this.#send("READY=1\nSTATUS=Ready");
  }

  stopping(): void {
    this.#send("STOPPING=1\nSTATUS=Draining");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beat);
    this.#libc.symbols.close(this.#fd);
    this.#libc.close();
  }

  /** Never blocks: a manager that is gone or busy must not delay the daemon. */
  #send(text: string): void {
    const bytes = new TextEncoder().encode(text);
    const length = BigInt(bytes.length);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    this.#libc.symbols.sendto(this.#fd, bytes, length, flags, this.#address, this.#address.length);
  }
}

/** `sockaddr_un` of a path or an abstract name (prefix `@`); undefined for anything else. */
function addressOf(name: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new TextEncoder().encode(name);
  if (!/^[/@]./.test(name) || bytes.length >= MAX_PATH_BYTES) return undefined;
  const isAbstract = name.startsWith("@");
  // An abstract name has no terminator; the address length delimits it.
  const address = new Uint8Array(FAMILY_BYTES + bytes.length + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, FAMILY_BYTES);
  if (isAbstract) address[FAMILY_BYTES] = 0;
  return address;
}

/** Query first, because reading without permission would prompt on a terminal. */
function isReadable(variable: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted";
}

function isFile(path: string): boolean {
  try {
    Deno.dlopen(path, {}).close();
    return true;
  } catch {
    return false;
  }
}
