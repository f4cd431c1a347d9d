/** Elements of the page. Text only ever becomes text here, never markup. */

/**
 * @typedef {Node | string | undefined} Child
 * @typedef {Record<string, string | number | boolean | ((event: any) => void) | undefined>} Attributes
 */

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag Which.
 * @param {Attributes} [attributes] `onclick` and the like listen; `true` sets an empty attribute; `false` and
 * `undefined` set none.
 * @param {...Child} children What is in it.
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
 * A button that does not submit.
 *
 * @param {string} label What it says.
 * @param {(event: MouseEvent) => void} onclick What it does.
 * @param {Attributes} [attributes] Others.
 */
export function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

/**
 * The element of an id.
 *
 * @template {HTMLElement} Kind
 * @param {string} id As in the page.
 * @param {new () => Kind} kind What it is.
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} "${id}"`);
  return found;
}

/**
 * Say something to screen readers.
 *
 * @param {string} text What.
 */
export function announce(text) {
  byId("announcer", HTMLElement).textContent = text;
}
