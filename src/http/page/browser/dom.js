/** DOM helpers. Text is never parsed as markup. */

/**
 * @typedef {Node | string | undefined} Child
 * @typedef {Record<string, string | number | boolean | ((event: any) => void) | undefined>} Attributes
 */

/**
 * Create an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag Tag name.
 * @param {Attributes} [attributes] `onclick` etc. add listeners; `true` sets an empty attribute; `false` and
 * `undefined` set none.
 * @param {...Child} children The content.
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== undefined && value !== false) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/**
 * Create a button that does not submit.
 *
 * @param {string} label The label.
 * @param {(event: MouseEvent) => void} onclick The click handler.
 * @param {Attributes} [attributes] Further attributes.
 */
export function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

/**
 * Get an element by id.
 *
 * @template {HTMLElement} Kind
 * @param {string} id The id.
 * @param {new () => Kind} kind Its class.
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} "${id}"`);
  return found;
}

/**
 * Announce a text to screen readers.
 *
 * @param {string} text The text.
 */
export function announce(text) {
  byId("announcer", HTMLElement).textContent = text;
}
