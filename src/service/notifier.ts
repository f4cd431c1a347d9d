/**
 * Tells systemd how the service is, as sd_notify(3) does: datagrams to the socket that `NOTIFY_SOCKET` names. Sent by
 * libc, which is opened at boot: Deno's own datagram sockets for paths are unstable, and have no abstract names.
 */

/** What it reads; both are set by systemd for a unit with `Type=notify` and `WatchdogSec`. */
export const NOTIFY_VARIABLES: readonly string[] = ["NOTIFY_SOCKET", "WATCHDOG_USEC"];

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of `sockaddr_un`: the family and a path. */
const FAMILY_BYTES = 2;
const MAX_PATH_BYTES = 108;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** What it is made of. */
export interface NotifierOptions {
  /** Reads a variable of the environment. */
  readonly env: (name: string) => string | undefined;
  /** Where libc may be; the permission `ffi` is needed for one of them until `open` returns. */
  readonly libc: readonly string[];
}

/** A service manager that wants to be told. Disposing of it ends the watchdog's beats. */
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
   * Begin: says that the daemon is loading, and beats for the watchdog, twice in its time, as long as the event loop
   * turns.
   *
   * @returns Undefined where no service manager wants to be told, or it cannot be.
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

  /** Clients can connect. */
  ready(): void {
    this.#send("READY=1\nSTATUS=Ready");
  }

  /** The daemon drains. */
  stopping(): void {
    this.#send("STOPPING=1\nSTATUS=Draining");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beat);
    this.#libc.symbols.close(this.#fd);
    this.#libc.close();
  }

  /** A manager that is gone or busy does not hold the daemon up. */
  #send(text: string): void {
    const bytes = new TextEncoder().encode(text);
    const length = BigInt(bytes.length);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    this.#libc.symbols.sendto(this.#fd, bytes, length, flags, this.#address, this.#address.length);
  }
}

/** `sockaddr_un` of a path, or of an abstract name, which begins with `@`; undefined for what is neither. */
function addressOf(name: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new TextEncoder().encode(name);
  if (!/^[/@]./.test(name) || bytes.length >= MAX_PATH_BYTES) return undefined;
  const isAbstract = name.startsWith("@");
  // An abstract name has no end but the address's length.
  const address = new Uint8Array(FAMILY_BYTES + bytes.length + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, FAMILY_BYTES);
  if (isAbstract) address[FAMILY_BYTES] = 0;
  return address;
}

/** Asked first, because reading without the permission would prompt on a terminal. */
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
