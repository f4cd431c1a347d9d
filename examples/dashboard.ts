/** Shows what the daemon is doing, once a second. usage: dashboard.ts [number of updates] */
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { admin } from "@inferd/client";

const updates = Number(process.argv[2] ?? Infinity);
const daemon = admin();
for (let update = 1; update <= updates; update++) {
  const { status, capabilities } = await daemon.snapshot();
  const { requests, queue, totals } = await daemon.activity();
  console.log(`${status.status}: ${queue.active} running, ${queue.waiting} waiting, ${totals.done} done`);
  for (const { backend, model, state } of capabilities) console.log(`  ${backend} ${model ?? ""} ${state ?? ""}`);
  for (const { number, service, ageMs } of requests) console.log(`  #${number} ${service} ${Math.round(ageMs)} ms`);
  if (update < updates) await wait(1000);
}
