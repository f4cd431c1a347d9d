/** What systemd hears, on a datagram socket of the test's own. */
import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { LIBC_PATHS } from "../../../src/server/kernel.ts";
import { Notifier } from "../../../src/service/notifier.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** A service manager's socket. A datagram is there as soon as it was sent. */
class Manager implements Disposable {
  readonly #libc = Deno.dlopen(libc(), SYMBOLS);
  readonly #fd = this.#libc.symbols.socket(AF_UNIX, SOCK_DGRAM, 0);

  constructor(readonly name: string) {
    const path = new TextEncoder().encode(name.replace(/^@/, "\0"));
    const address = new Uint8Array([AF_UNIX, 0, ...path]);
    assertEquals(this.#libc.symbols.bind(this.#fd, address, address.length), 0);
  }

  /** Everything said since the last call. */
  heard(): string[] {
    const all: string[] = [];
    const bytes = new Uint8Array(4096);
    for (;;) {
      const count = Number(this.#libc.symbols.recv(this.#fd, bytes, BigInt(bytes.length), MSG_DONTWAIT));
      if (count < 0) return all;
      all.push(new TextDecoder().decode(bytes.subarray(0, count)));
    }
  }

  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#fd);
    this.#libc.close();
  }
}

function libc(): string {
  const found = LIBC_PATHS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error("There is no libc where the daemon looks for it");
  return found;
}

function open(variables: Readonly<Record<string, string>>): Notifier | undefined {
  return Notifier.open({ env: (name) => variables[name], libc: LIBC_PATHS });
}

Deno.test(
  "a notifier says that the daemon loads, is ready and stops, to a path and to an abstract name",
  onLinux,
  () => {
    const dir = Deno.makeTempDirSync({ prefix: "inferd-" });
    try {
      for (const name of [`${dir}/notify`, `@${dir}/abstract`]) {
        using manager = new Manager(name);
        using notifier = open({ NOTIFY_SOCKET: name });
        assertEquals(manager.heard(), ["STATUS=Loading"]);
        notifier?.ready();
        notifier?.stopping();
        assertEquals(manager.heard(), ["READY=1\nSTATUS=Ready", "STOPPING=1\nSTATUS=Draining"]);
      }
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);

Deno.test("a notifier beats twice in the watchdog's time", onLinux, () => {
  using time = new FakeTime();
  using manager = new Manager(`@inferd-${crypto.randomUUID()}`);
  using _notifier = open({ NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "20000000" });
  assertEquals(manager.heard(), ["STATUS=Loading"]);
  time.tick(20_000);
  assertEquals(manager.heard(), ["WATCHDOG=1", "WATCHDOG=1"]);
});

Deno.test("there is no notifier without a socket, and one whose manager is gone does no harm", onLinux, () => {
  assertEquals(open({}), undefined);
  assertEquals(open({ NOTIFY_SOCKET: "relative" }), undefined);
  assertEquals(open({ NOTIFY_SOCKET: `/${"x".repeat(200)}` }), undefined);
  using notifier = open({ NOTIFY_SOCKET: "/nowhere/at/all" });
  notifier?.ready();
});
