import { assert, assertEquals } from "@std/assert";
import { ThreadGovernor } from "../../../../../src/engine/native/threads/governor.ts";

interface Work {
  readonly tokens?: number;
  readonly forMs: number;
  /** Milliseconds of a step. */
  readonly ms: (threads: number) => number;
  /** Cores that the threads get; by default all they need. `undefined`: it cannot be told. */
  readonly cores?: (threads: number) => number | undefined;
}

/** Work for some time; returns the milliseconds spent with each number of threads. */
function work(governor: ThreadGovernor, options: Work): Map<number, number> {
  const { tokens = 1, forMs, ms, cores = (threads): number => threads } = options;
  const spent = new Map<number, number>();
  for (let left = forMs; left > 0;) {
    const threads = governor.choose(tokens);
    const took = ms(threads);
    const got = cores(threads);
    governor.learn(
      tokens,
      got === undefined || !governor.asksForCores ? { ms: took } : { ms: took, cpuMs: took * got },
    );
    spent.set(threads, (spent.get(threads) ?? 0) + took);
    left -= took;
  }
  return spent;
}

Deno.test("ThreadGovernor comes to all threads when they are faster", () => {
  const governor = new ThreadGovernor(8, () => 1);
  work(governor, { forMs: 10_000, ms: (threads) => 8 / threads });
  assertEquals(governor.choose(1), 8);
});

Deno.test("ThreadGovernor tries no other number when the machine is idle and it began with all cores", () => {
  const governor = new ThreadGovernor(8, () => 8);
  for (const tokens of [1, 40, 512]) {
    // Steps become slower as a conversation grows; that is nobody's doing.
    let before = 0;
    const ms = (threads: number): number => tokens * (1 + before++ / 1000) / threads;
    assertEquals([...work(governor, { tokens, forMs: 100_000, ms }).keys()], [8]);
  }
});

Deno.test("ThreadGovernor tries no fewer threads when nothing tells whether they get their cores", () => {
  const governor = new ThreadGovernor(8, () => 8);
  const spent = work(governor, { forMs: 10_000, ms: (threads) => 8 / threads, cores: () => undefined });
  assertEquals([...spent.keys()], [8]);
});

Deno.test("ThreadGovernor comes to one thread when several get one core only", () => {
  const governor = new ThreadGovernor(8, () => 8);
  work(governor, { forMs: 10_000, ms: (threads) => threads, cores: () => 1 });
  assertEquals(governor.choose(1), 1);
});

Deno.test("ThreadGovernor stays in the middle when that is fastest", () => {
  const governor = new ThreadGovernor(6, () => 1);
  const ms = (threads: number): number => [0, 4, 2, 0, 1, 0, 3][threads] ?? 0;
  work(governor, { forMs: 10_000, ms });
  const spent = work(governor, { forMs: 10_000, ms });
  assert((spent.get(4) ?? 0) > 9000, `${[...spent]}`);
});

Deno.test("ThreadGovernor decides for large and small steps apart", () => {
  const governor = new ThreadGovernor(2, () => 1);
  work(governor, { forMs: 10_000, ms: (threads) => threads });
  work(governor, { tokens: 100, forMs: 10_000, ms: (threads) => 10 / threads });
  assertEquals([governor.choose(1), governor.choose(100)], [1, 2]);
});

Deno.test("ThreadGovernor begins with the number of threads that fits the size of a step", () => {
  const governor = new ThreadGovernor(4, (tokens) => tokens < 5 ? 1 : 4);
  assertEquals([1, 4, 5, 512].map((tokens) => governor.choose(tokens)), [1, 1, 4, 4]);
});

Deno.test("ThreadGovernor gives large steps the threads that pay for small ones, without a trial", () => {
  const governor = new ThreadGovernor(2, () => 1);
  work(governor, { forMs: 10_000, ms: (threads) => 10 / threads });
  assertEquals(governor.choose(512), 2);
});

Deno.test("ThreadGovernor gives up threads at once when others begin to work, and takes them again when they rest", () => {
  const governor = new ThreadGovernor(2, () => 1);
  const calm = (threads: number): number => 4 / threads;
  work(governor, { forMs: 5000, ms: calm });
  assertEquals(governor.choose(1), 2);
  const busy = (threads: number): number => threads === 1 ? 5 : 100;
  const spent = work(governor, { forMs: 5000, ms: busy, cores: () => 0.8 });
  assert((spent.get(2) ?? 0) < 1000, `${[...spent]}`);
  work(governor, { forMs: 70_000, ms: calm });
  assertEquals(governor.choose(1), 2);
});

Deno.test("ThreadGovernor gives up threads in the middle of a long prompt when others are busy", () => {
  const governor = new ThreadGovernor(2, () => 2);
  const spent = work(governor, {
    tokens: 128,
    forMs: 60_000,
    ms: (threads) => threads === 1 ? 2500 : 6000,
    cores: () => 0.3,
  });
  assert((spent.get(2) ?? 0) <= 6000, `${[...spent]}`);
});

Deno.test("ThreadGovernor spends little on trials when a single one is terrible", () => {
  const governor = new ThreadGovernor(2, () => 1);
  const spent = work(governor, { forMs: 100_000, ms: (threads) => threads === 1 ? 1 : 1000 });
  assert((spent.get(2) ?? 0) <= 1000, `${[...spent]}`);
});

Deno.test("ThreadGovernor lets trials cost no request more than two hundredths", () => {
  // One thread is best here, and two are not known to be twice as slow.
  const governor = new ThreadGovernor(2, () => 1);
  let trials = 0;
  for (let request = 0; request < 300; request++) {
    governor.beginRequest();
    let total = 0;
    let lost = 0;
    const step = (tokens: number): void => {
      const threads = governor.choose(tokens);
      const best = 1 + tokens;
      const ms = best * threads;
      governor.learn(tokens, { ms, cpuMs: ms * threads });
      total += ms;
      lost += ms - best;
      if (threads === 2) trials++;
    };
    if (request % 2 === 0) { for (const tokens of [512, 300]) step(tokens); }
    for (let answer = 0; answer < request % 80; answer++) step(1);
    assert(lost <= total * 0.02, `request ${request}: ${lost} of ${total} ms`);
  }
  assert(trials > 0);
});

Deno.test("ThreadGovernor asks long steps for their cores, and of quick ones some", () => {
  const governor = new ThreadGovernor(2, () => 2);
  const asked = (ms: number): number => {
    let count = 0;
    for (let step = 0; step < 80; step++) {
      governor.choose(1);
      if (governor.asksForCores) count++;
      governor.learn(1, { ms });
    }
    return count;
  };
  assertEquals(asked(0.3), 11);
  asked(20);
  assertEquals(asked(20), 80);
});

Deno.test("ThreadGovernor has no choice when there is one core", () => {
  const governor = new ThreadGovernor(1, () => 1);
  assertEquals([...work(governor, { forMs: 1000, ms: () => 1, cores: () => 0.2 }).keys()], [1]);
});

/** A governor of as many threads as the machine has cores, which others use or not; and a clock. */
function beside(): { readonly governor: ThreadGovernor; readonly world: { now: number; others: number } } {
  const world = { now: 0, others: 0 };
  const governor = new ThreadGovernor(navigator.hardwareConcurrency, () => navigator.hardwareConcurrency, {
    free: { cores: () => ALL - world.others },
    now: () => world.now,
  });
  return { governor, world };
}

const ALL = navigator.hardwareConcurrency;
const crowded = (threads: number): number => threads === 1 ? 50 : 500;

/** Requests that are too short to earn a trial of more threads. */
function shortRequests(governor: ThreadGovernor): void {
  for (let request = 0; request < 200; request++) {
    governor.beginRequest();
    work(governor, { forMs: 400, ms: (threads) => 50 / threads });
  }
}

Deno.test("ThreadGovernor takes threads again for short requests when others rest", { ignore: ALL < 2 }, () => {
  const { governor, world } = beside();
  work(governor, { forMs: 20_000, ms: crowded, cores: () => 0.5 });
  assertEquals(governor.choose(1), 1);
  shortRequests(governor);
  assertEquals(governor.choose(1), 1);
  world.now = 600;
  shortRequests(governor);
  assertEquals(governor.choose(1), ALL);
});

Deno.test("ThreadGovernor gives threads up after one step that is much later than fewer would be", () => {
  const governor = new ThreadGovernor(2, () => 2, { free: { cores: () => 1 } });
  work(governor, { tokens: 4, forMs: 2000, ms: (threads) => 46 / threads });
  const spent = work(governor, {
    tokens: 4,
    forMs: 2000,
    ms: (threads) => threads === 2 ? 500 : 46,
    cores: (threads) => threads === 2 ? 1.3 : 1,
  });
  assertEquals(spent.get(2), 500);
});

Deno.test("ThreadGovernor looks again soon when others worked while this process idled", { ignore: ALL < 2 }, () => {
  const { governor, world } = beside();
  work(governor, { forMs: 20_000, ms: crowded, cores: () => 0.5 });
  const step = (): number | undefined => work(governor, { forMs: 50, ms: () => 50 }).keys().next().value;
  // Idle for a while, in which others work; then it has the machine for itself.
  world.others = ALL;
  for (const ms of [600, 3000]) {
    world.now += ms;
    assertEquals(step(), 1);
  }
  world.others = 0;
  let threads: number | undefined;
  for (let i = 0; i < 5; i++) {
    world.now += 50;
    threads = step();
  }
  assertEquals(threads, ALL);
});

Deno.test("ThreadGovernor looks less and less often whether others rest that do not", { ignore: ALL < 2 }, () => {
  const { governor, world } = beside();
  // It seems that cores are free, but they are not.
  let moves = 0;
  let before = ALL;
  for (; world.now < 600_000; world.now += 100) {
    work(governor, { forMs: 100, ms: crowded, cores: () => 0.5 });
    const threads = governor.choose(1);
    if (threads !== before) moves++;
    before = threads;
  }
  assert(moves <= 30, `${moves} changes`);
  world.others = ALL;
  world.now += 70_000;
  work(governor, { forMs: 100, ms: crowded, cores: () => 0.5 });
  world.now += 600_000;
  assertEquals(governor.choose(1), 1);
});
