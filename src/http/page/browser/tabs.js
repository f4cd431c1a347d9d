/** Which part of the page is shown: the address says it, so that it can be linked to and gone back from. */
import { byId } from "./dom.js";

const DEFAULT = "chat";

/** Show what the address names, now and whenever it changes. */
export function startTabs() {
  globalThis.addEventListener("hashchange", () => show(true));
  show(false);
}

/** @param {boolean} moveFocus Whether the reader follows. */
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
