/** Running and queued requests, each with a cancel button, and the three charts. */
import { ask } from "./api.js";
import { Chart } from "./chart.js";
import { announce, button, byId, element } from "./dom.js";

/** @typedef {{ at: number, tokens: number, firstTokens: number, firstTokenMs: number }} Sample */

/** The activity tab. */
export class ActivityView {
  #rows = byId("requests", HTMLTableSectionElement);
  #none = byId("no-requests", HTMLElement);
  #summary = byId("totals", HTMLElement);
  #speed = new Chart(byId("chart-speed", HTMLElement), (value) => `${round(value)} tokens/s`);
  #first = new Chart(byId("chart-first", HTMLElement), (value) => `${Math.round(value)} ms`);
  #queue = new Chart(byId("chart-queue", HTMLElement), (value) => `${value} waiting`);
  #last = /** @type {Sample | undefined} */ (undefined);
  #byNumber = /** @type {Map<number, HTMLTableRowElement>} */ (new Map());

  /** @param {import("./live.js").Activity | null} activity `null`: the daemon does not run. */
  take(activity) {
    this.#chart(activity);
    const requests = activity?.requests ?? [];
    const there = new Set(requests.map(({ number }) => number));
    for (const [number, row] of this.#byNumber) {
      if (there.has(number)) continue;
      row.remove();
      this.#byNumber.delete(number);
    }
    for (const request of requests) this.#show(request);
    this.#none.hidden = requests.length > 0;
    if (activity === null) return;
    const { done, failed, completionTokens } = activity.totals;
    const { active, waiting, depth } = activity.queue;
    this.#summary.textContent =
      `${active} running, ${waiting} waiting (room for ${depth}); ${done} answered with ${completionTokens} tokens, ` +
      `${failed} failed or cancelled since the daemon started`;
  }

  /** @param {import("./live.js").Activity | null} activity */
  #chart(activity) {
    if (activity === null) {
      this.#last = undefined;
      this.#speed.add(0);
      this.#first.add(undefined);
      return this.#queue.add(0);
    }
    const { totals, requests, queue } = activity;
    const running = requests.reduce((sum, { pieces }) => sum + pieces, 0);
    const { firstTokens, firstTokenMs } = totals;
    const now = { at: performance.now(), tokens: totals.completionTokens + running, firstTokens, firstTokenMs };
    const last = this.#last ?? now;
    const seconds = (now.at - last.at) / 1000;
    const begun = now.firstTokens - last.firstTokens;
    this.#speed.add(seconds > 0 ? Math.max(0, (now.tokens - last.tokens) / seconds) : 0);
    this.#first.add(begun > 0 ? (now.firstTokenMs - last.firstTokenMs) / begun : undefined);
    this.#queue.add(queue.waiting);
    this.#last = now;
  }

  /** @param {import("./live.js").LiveRequest} request */
  #show({ number, id, service, state, backend, ageMs, firstTokenMs, pieces }) {
    let row = this.#byNumber.get(number);
    if (row === undefined) {
      const cancel = button("Cancel", () => this.#cancel(number, cancel), { "aria-label": `Cancel request ${number}` });
      row = element("tr", {}, element("th", { scope: "row" }, String(number)));
      for (const label of ["State", "Kind", "Backend", "Age", "First token", "Tokens", "Id"]) {
        row.append(element("td", { "data-label": label }));
      }
      row.append(element("td", {}, cancel));
      this.#rows.append(row);
      this.#byNumber.set(number, row);
    }
    const first = firstTokenMs === undefined ? "–" : `${firstTokenMs} ms`;
    const cells = [state, service, backend ?? "–", `${(ageMs / 1000).toFixed(1)} s`, first, String(pieces), id];
    for (const [index, text] of cells.entries()) {
      const cell = row.cells[index + 1];
      if (cell !== undefined && cell.textContent !== text) cell.textContent = text;
    }
  }

  /**
   * @param {number} number
   * @param {HTMLButtonElement} pressed
   */
  async #cancel(number, pressed) {
    pressed.disabled = true;
    try {
      const { found } = await (await ask(`/inferd/requests/${number}/cancel`, { method: "POST" })).json();
      announce(found ? `Request ${number} is cancelled` : `Request ${number} had ended`);
    } catch (error) {
      pressed.disabled = false;
      announce(`Request ${number} could not be cancelled: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** @param {number} value */
function round(value) {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
