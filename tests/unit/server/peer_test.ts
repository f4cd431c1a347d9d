import { assert, assertEquals } from "@std/assert";
import { LIBC_PATHS } from "../../../src/server/kernel.ts";
import { type Peer, Peers } from "../../../src/server/peer.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

const asksKernel = { ignore: LIBC_PATHS.length === 0 };

function openPeers(): Peers {
  const peers = Peers.open(new LogRecorder());
  assert(peers !== undefined);
  return peers;
}

interface Pair extends Disposable {
  readonly client: Deno.Conn;
  readonly accepted: Deno.UnixConn | Deno.TcpConn;
  readonly peer: Peer | undefined;
}

async function pair(peers: Peers, listener: Deno.UnixListener | Deno.TcpListener): Promise<Pair> {
  const { addr } = listener;
  const connecting = "path" in addr
    ? Deno.connect({ transport: "unix", path: addr.path })
    : Deno.connect({ hostname: addr.hostname, port: addr.port });
  const accepted = await listener.accept();
  const peer = peers.identify(accepted);
  const client = await connecting;
  return {
    client,
    accepted,
    peer,
    [Symbol.dispose]: () => {
      peer?.release();
      accepted.close();
      client.close();
    },
  };
}

async function withUnix(test: (listener: Deno.UnixListener) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  try {
    using listener = Deno.listen({ transport: "unix", path: `${dir}/s.sock` });
    await test(listener);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a unix peer's credentials are those of its process", asksKernel, async () => {
  using peers = openPeers();
  await withUnix(async (listener) => {
    using one = await pair(peers, listener);
    assertEquals(one.peer?.credentials, { pid: Deno.pid, uid: Deno.uid() ?? -1, gid: Deno.gid() ?? -1 });
  });
});

Deno.test("peers are told apart when many are open and descriptors are used again", asksKernel, async () => {
  using peers = openPeers();
  await withUnix(async (listener) => {
    const open: Pair[] = [];
    for (let round = 0; round < 60; round++) {
      open.push(await pair(peers, listener));
      // One in the middle goes; the next takes its descriptor.
      if (round % 3 === 2) open.splice(Math.floor(open.length / 2), 1)[0]?.[Symbol.dispose]();
    }
    assertEquals(open.map(({ peer }) => peer?.hungUp()), open.map(() => false));
    for (const [index, { client }] of open.entries()) if (index % 2 === 0) client.close();
    assertEquals(open.map(({ peer }) => peer?.hungUp()), open.map((_, index) => index % 2 === 0));
    for (const [index, { client, accepted, peer }] of open.entries()) {
      peer?.release();
      accepted.close();
      if (index % 2 === 1) client.close();
    }
  });
});

Deno.test(
  "a unix peer that only ends its side has not hung up, one that closes has, also behind unread bytes",
  asksKernel,
  async () => {
    using peers = openPeers();
    await withUnix(async (listener) => {
      const one = await pair(peers, listener);
      await one.client.write(new Uint8Array(10));
      await one.client.closeWrite();
      assertEquals(one.peer?.hungUp(), false);
      one.client.close();
      assertEquals(one.peer?.hungUp(), true);
      one.peer?.release();
      one.accepted.close();
    });
  },
);

Deno.test("a TCP peer has no credentials, and has hung up when it has sent its end", asksKernel, async () => {
  using peers = openPeers();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using one = await pair(peers, listener);
  assertEquals([one.peer?.credentials, one.peer?.hungUp()], [undefined, false]);
  await one.client.write(new Uint8Array(10));
  await one.client.closeWrite();
  assertEquals(one.peer?.hungUp(), true);
});

Deno.test("a released peer says nothing of the descriptor's next owner", asksKernel, async () => {
  using peers = openPeers();
  await withUnix(async (listener) => {
    const one = await pair(peers, listener);
    one.client.close();
    assertEquals(one.peer?.hungUp(), true);
    one.peer?.release();
    one.accepted.close();
    assertEquals(one.peer?.hungUp(), false);
  });
});

Deno.test("a peer that was released is not found again while its socket is still closing", asksKernel, async () => {
  using peers = openPeers();
  await withUnix(async (listener) => {
    const one = await pair(peers, listener);
    one.peer?.release();
    using two = await pair(peers, listener);
    one.client.close();
    assertEquals(two.peer?.hungUp(), false);
    one.accepted.close();
  });
});

Deno.test("a peer is found when one of another socket was looked for after it was accepted", asksKernel, async () => {
  using peers = openPeers();
  await withUnix(async (first) => {
    await withUnix(async (second) => {
      const accept = async (listener: Deno.UnixListener): Promise<[Deno.UnixConn, Deno.UnixConn]> => {
        const { path } = listener.addr as Deno.UnixAddr;
        return await Promise.all([listener.accept(), Deno.connect({ transport: "unix", path })]);
      };
      const [[early, one], [late, other]] = [await accept(first), await accept(second)];
      using _connections = new DisposableStack();
      for (const conn of [early, one, late, other]) _connections.use(conn);
      const found = [late, early].map((conn) => peers.identify(conn));
      assertEquals(found.map((peer) => peer?.credentials?.pid), [Deno.pid, Deno.pid]);
      for (const peer of found) peer?.release();
    });
  });
});

Deno.test("peers are unknown, and the log says why once, when the permission is missing", async () => {
  const script = `
    import { Peers } from ${JSON.stringify(import.meta.resolve("../../../src/server/peer.ts"))};
    const log = { for: () => log };
    for (const level of ["debug", "info", "warn", "error"]) {
      log[level] = (msg, fields) => console.log(level, msg, fields.reason);
    }
    console.log(Peers.open(log));
  `;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", `data:application/javascript,${encodeURIComponent(script)}`],
    env: { NO_COLOR: "1" },
  }).output();
  const expected = LIBC_PATHS.length > 0
    ? `warn peers_unknown No permission --allow-ffi=${LIBC_PATHS.join()}\nundefined\n`
    : `info peers_unknown Not known how to ask on ${Deno.build.os}\nundefined\n`;
  assertEquals([code, new TextDecoder().decode(stdout)], [0, expected]);
});
