/**
 * What tests run within the page. JavaScript, because the browser's types must not reach the rest of the program;
 * `page_types_test.ts` checks it. Each function is sent as text, so it uses nothing from outside itself.
 */

/** How long the page has stood still at worst, in milliseconds, from now on: see {@link longestPause}. */
export function watchPauses() {
  const seen = { worst: 0 };
  Object.assign(globalThis, { seen });
  new PerformanceObserver((tasks) => {
    for (const { duration } of tasks.getEntries()) seen.worst = Math.max(seen.worst, duration);
  }).observe({ type: "longtask" });
}

/** @returns {number} */
export function longestPause() {
  return Reflect.get(globalThis, "seen").worst;
}

/**
 * What messages are made of.
 *
 * @returns {{ tags: string[], handlers: number, links: (readonly [string | null, string])[], ids: number }}
 */
export function messageParts() {
  const own = ["article", "header", "footer", "details", "summary", "section", "small", "button", "form", "div"];
  const all = [...document.querySelectorAll("#messages *")];
  const markdown = [...document.querySelectorAll("#messages .text *")].map(({ localName }) => localName);
  return {
    tags: [...new Set(markdown)].filter((tag) => !own.includes(tag)).sort(),
    handlers: all.filter((node) => [...node.attributes].some(({ name }) => name.startsWith("on"))).length,
    links: [...document.querySelectorAll("#messages a")].map((
      link,
    ) => /** @type {const} */ ([link.getAttribute("href"), link.getAttribute("rel") ?? ""])),
    ids: all.filter(({ id }) => id !== "").length,
  };
}

/**
 * Do what an attacker would who could run something.
 *
 * @returns {Promise<string[]>} What was refused.
 */
export async function attack() {
  const refusals = /** @type {string[]} */ ([]);
  const image = new Promise((resolve) =>
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
      refusals.push(effectiveDirective);
      if (effectiveDirective === "img-src") resolve(undefined);
    })
  );
  try {
    document.body.innerHTML = "<b>x</b>";
  } catch {
    refusals.push("innerHTML");
  }
  try {
    Reflect.get(globalThis, "trustedTypes").createPolicy("own", {});
  } catch {
    refusals.push("policy");
  }
  try {
    const script = document.createElement("script");
    script.textContent = "globalThis.broken = true";
    document.body.append(script);
  } catch {
    refusals.push("script");
  }
  new Image().src = "https://outside.example/pixel.png";
  document.body.setAttribute("style", "display: none");
  await fetch("https://outside.example/").then(() => refusals.push("fetched"), () => {});
  // Violations are told one by one, after what they are of.
  await image;
  if ("broken" in globalThis) refusals.push("broken");
  return refusals;
}

/** @returns {boolean} Whether the end of the conversation is in sight. */
export function isAtEnd() {
  const log = document.getElementById("messages");
  return log !== null && log.scrollHeight - log.scrollTop - log.clientHeight < 2;
}

/** @returns {boolean} Whether it is well out of sight. */
export function isAwayFromEnd() {
  const log = document.getElementById("messages");
  return log !== null && log.scrollHeight - log.scrollTop - log.clientHeight > 100;
}

/** @returns {number} How wide the page is, what is cut off included. */
export function pageWidth() {
  return document.documentElement.scrollWidth;
}

/** @returns {{ name: string, tag: string }} What has the focus. */
export function focusedElement() {
  const { activeElement } = document;
  const name = activeElement?.getAttribute("aria-label") ?? activeElement?.textContent?.trim() ?? "";
  return { name, tag: activeElement?.localName ?? "" };
}

/** What is wrong with names, ids, headings and the like. */
export function accessibility() {
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  const controls = [...document.querySelectorAll("button, input, select, textarea")];
  const references = ["aria-labelledby", "aria-describedby", "for"];
  return {
    unnamed: controls.filter((control) => {
      const labels = "labels" in control && control.labels instanceof NodeList ? [...control.labels] : [];
      const label = labels.map(({ textContent }) => textContent).join("");
      return `${control.getAttribute("aria-label") ?? ""}${label}${control.textContent}`.trim() === "";
    }).map(({ outerHTML }) => outerHTML),
    twice: ids.filter((id, index) => ids.indexOf(id) !== index),
    dangling: [...document.querySelectorAll("*")].flatMap((node) => references.map((name) => node.getAttribute(name)))
      .filter((id) => id !== null && document.getElementById(id) === null),
    images: [...document.images].filter(({ alt }) => alt === "").length,
    language: document.documentElement.lang,
    headings: document.querySelectorAll("main > section > h2").length,
    sections: document.querySelectorAll("main > section").length,
  };
}

/**
 * The lowest contrasts of text that is in sight with what is behind it.
 *
 * @returns {{ worst: [number, string][], isDark: boolean }}
 */
export function contrasts() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (canvas === null) throw new Error("There is no canvas");
  /** @param {string} color */
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  /** @param {number[]} color Its relative luminance, as WCAG has it. */
  const light = (color) => {
    const [red = 0, green = 0, blue = 0] = color.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  /** @param {Element | null} node */
  const behind = (node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if ((color[3] ?? 0) > 0) return color;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const all = /** @type {[number, string][]} */ ([]);
  while (walker.nextNode()) {
    const { parentElement, textContent } = walker.currentNode;
    const text = textContent?.trim() ?? "";
    if (text === "" || parentElement === null || !parentElement.checkVisibility()) continue;
    const one = light(rgba(getComputedStyle(parentElement).color));
    const other = light(behind(parentElement));
    all.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text]);
  }
  return { worst: all.sort(([one], [other]) => one - other).slice(0, 5), isDark: light(behind(document.body)) < 0.5 };
}
