/** Tabs of the page; the URL holds the current one, so that links and the back button work. */
import { byId } from "./dom.js";

const DEFAULT = "chat";

/** Show the tab in the URL, now and whenever it changes. */
export function startTabs() {
  globalThis.addEventListener("hashchange", () => show(true));
  show(false);
}

/** @param {boolean} moveFocus Whether to move the focus. */
function show(moveFocus) {
  const links = [...document.querySelectorAll("nav a")].filter((link) => link instanceof HTMLAnchorElement);
  const names = links.map((link) => link.hash.slice(1));
  const wanted = location.hash.slice(1);
  if (wanted === "main") return;
  const name = names.includes(wanted) ? wanted : DEFAULT;
  for (const link of links) {
    if (link.hash.slice(1) === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const one of names) byId(`${one}-view`, HTMLElement).hidden = one !== name;
  if (moveFocus) byId(`${name}-heading`, HTMLElement).focus();
}
