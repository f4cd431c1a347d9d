/** Keeps the end of a growing list in view while the reader is at the end. */

/** Distance from the end, in pixels, that still counts as being at the end. */
const NEAR = 40;

/**
 * Scroll along with a growing list until the reader scrolls up.
 *
 * @param {HTMLElement} list The scrolling element.
 * @returns {() => void} Scrolls to the end unconditionally.
 */
export function keepEndInSight(list) {
  let isAtEnd = true;
  let shown = 0;
  list.addEventListener("scroll", () => {
    // Growth does not change scrollTop; only the reader scrolling up does.
    const isUp = list.scrollTop < shown;
    shown = list.scrollTop;
    const isNear = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
    if (isNear) isAtEnd = true;
    else if (isUp) isAtEnd = false;
  });
  const follow = () => {
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  };
  new MutationObserver(() => {
    requestAnimationFrame(() => {
      follow();
      // Content that came into view may be taller than estimated.
      requestAnimationFrame(follow);
    });
  }).observe(list, { childList: true, characterData: true, subtree: true });
  return () => {
    isAtEnd = true;
    follow();
  };
}
