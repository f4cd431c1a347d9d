/** Daemon events, newest first. */
import { byId, element } from "./dom.js";

/** Maximum number of events kept. */
const MOST = 200;

/** The events tab. */
export class EventsView {
  #list = byId("events", HTMLElement);

  /** @param {import("./live.js").Line} line */
  take(line) {
    if (line.type === "activity") return;
    const { status, ...fields } = line.type === "event" ? line.event : { status: line.type };
    const time = new Date();
    this.#list.prepend(
      element(
        "li",
        {},
        element("time", { datetime: time.toISOString() }, time.toLocaleTimeString()),
        " ",
        element("strong", {}, status.replaceAll("_", " ")),
        " ",
        ...Object.entries(fields).map(([name, value]) =>
          element("span", { class: "field" }, `${name} ${typeof value === "object" ? JSON.stringify(value) : value} `)
        ),
      ),
    );
    while (this.#list.childElementCount > MOST) this.#list.lastElementChild?.remove();
  }
}
