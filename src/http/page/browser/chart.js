/** A line chart of the last two minutes, also described as text. */

const NAMESPACE = "http://www.w3.org/2000/svg";
const POINTS = 120;
const WIDTH = 240;
const HEIGHT = 60;

/** A chart; gets a point every second. */
export class Chart {
  #values = /** @type {number[]} */ ([]);
  #figure;
  #line;
  #area;
  #output;
  #label;
  #format;

  /**
   * @param {HTMLElement} figure Its container; `data-label` is its name.
   * @param {(value: number) => string} format Formats a value.
   */
  constructor(figure, format) {
    this.#figure = figure;
    this.#label = figure.dataset.label ?? "";
    this.#format = format;
    const svg = document.createElementNS(NAMESPACE, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.#area = svg.appendChild(document.createElementNS(NAMESPACE, "polygon"));
    this.#line = svg.appendChild(document.createElementNS(NAMESPACE, "polyline"));
    const caption = document.createElement("figcaption");
    caption.textContent = this.#label;
    this.#output = document.createElement("strong");
    this.#output.textContent = "–";
    figure.setAttribute("role", "img");
    figure.replaceChildren(caption, this.#output, svg);
    this.#draw();
  }

  /** @param {number | undefined} value The current value; `undefined`: unknown, the last one is repeated. */
  add(value) {
    const last = this.#values.at(-1);
    const point = value ?? last ?? 0;
    this.#values.push(point);
    if (this.#values.length > POINTS) this.#values.shift();
    if (value !== undefined) this.#output.textContent = this.#format(value);
    this.#draw();
  }

  #draw() {
    const most = Math.max(...this.#values, 1e-9);
    const start = POINTS - this.#values.length;
    const points = this.#values.map((value, index) => {
      const x = (start + index) / (POINTS - 1) * WIDTH;
      const y = HEIGHT - 2 - value / most * (HEIGHT - 6);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    this.#line.setAttribute("points", points.join(" "));
    const left = (start / (POINTS - 1) * WIDTH).toFixed(1);
    this.#area.setAttribute(
      "points",
      points.length === 0 ? "" : `${left},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`,
    );
    this.#figure.setAttribute(
      "aria-label",
      `${this.#label}: ${this.#output.textContent}, at most ${
        this.#format(points.length === 0 ? 0 : most)
      } in the last two minutes`,
    );
  }
}
